//! `docs/results.schema.json` against what `Results` writes, and against the files of examples in the folder `RESULTS`, if that
//! variable is set.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use examples::{Results, Row};
use serde_json::{Value, json};

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/results.schema.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The first place where `value` is not what the schema wants. Knows the keywords that the schema has, and no others.
fn fault(schema: &Value, value: &Value, place: &str) -> Option<String> {
    let Some(rules) = schema.as_object() else {
        return (schema == &json!(false)).then(|| format!("{place}: not known"));
    };
    for (keyword, rule) in rules {
        let found = match keyword.as_str() {
            "$schema" | "title" | "description" => None,
            "type" => {
                let wanted: Vec<&str> = rule
                    .as_array()
                    .map_or(vec![rule], |types| types.iter().collect())
                    .iter()
                    .filter_map(|t| t.as_str())
                    .collect();
                (!wanted.iter().any(|name| is(name, value)))
                    .then(|| format!("{place}: expected {wanted:?}, found {value}"))
            }
            "minimum" => value
                .as_f64()
                .filter(|number| *number < rule.as_f64().unwrap())
                .map(|number| format!("{place}: {number} is below {rule}")),
            "required" => rule
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap())
                .find(|name| value.get(name).is_none())
                .map(|name| format!("{place}: no {name}")),
            "properties" => rule.as_object().unwrap().iter().find_map(|(name, rule)| {
                value.get(name).and_then(|value| fault(rule, value, &format!("{place}/{name}")))
            }),
            "additionalProperties" => value.as_object().and_then(|fields| {
                let known =
                    |name: &String| rules.get("properties").is_some_and(|rules| rules.get(name).is_some());
                let mut others = fields.iter().filter(|(name, _)| !known(name));
                others.find_map(|(name, value)| fault(rule, value, &format!("{place}/{name}")))
            }),
            "items" => value.as_array().and_then(|items| {
                let mut items = items.iter().enumerate();
                items.find_map(|(index, item)| fault(rule, item, &format!("{place}/{index}")))
            }),
            other => panic!("{place}: the schema has a keyword that this test does not know: {other}"),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("the schema has a type that this test does not know: {other}"),
    }
}

/// What a run with a row of each kind writes.
fn written() -> Value {
    let mut results = Results::new("two_peak_ve", 3).setting("steps", 100).setting("size", vec![8_u64, 8]);
    results.push(Row::new("kappa_2", "data", 1.0631, 0.0005).exact(1.0625).paper(1.0625));
    results.push(Row::new("V m^2", "generated", 403.0, 3.0).target(413.0, 4.0).tau_int(0.7));
    results.push(Row::new("kappa_4", "closed form", -2.0, 0.0));
    let folder = tempfile::tempdir().unwrap();
    results.write(folder.path()).unwrap();
    serde_json::from_str(&fs::read_to_string(folder.path().join("results.json")).unwrap()).unwrap()
}

#[test]
fn results_fit_the_schema() {
    assert_eq!(fault(&schema(), &written(), ""), None);
}

#[test]
fn what_is_wrong_is_found() {
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 6] = [
        (|json| json["seed"] = json!(-1), "/seed: -1 is below 0"),
        (
            |json| json["rows"][1]["value"] = json!("403"),
            "/rows/1/value: expected [\"number\"], found \"403\"",
        ),
        (|json| json["rows"][0]["error"] = json!(-0.1), "/rows/0/error: -0.1 is below 0"),
        (|json| json["rows"][0]["sigma"] = json!(1.0), "/rows/0/sigma: not known"),
        (|json| drop(json["rows"][2].as_object_mut().unwrap().remove("pull")), "/rows/2: no pull"),
        (|json| json["settings"]["steps"] = Value::Null, "/settings/steps: expected"),
    ];
    for (change, message) in changes {
        let mut json = written();
        change(&mut json);
        let found =
            fault(&schema(), &json, "").unwrap_or_else(|| panic!("nothing found where there is: {message}"));
        assert!(found.starts_with(message), "{found}");
    }
}

#[test]
fn files_of_examples_fit_the_schema() {
    let Some(folder) = std::env::var_os("RESULTS").map(PathBuf::from) else { return };
    let mut files = 0;
    for run in fs::read_dir(&folder).unwrap() {
        let path = run.unwrap().path().join("results.json");
        if let Ok(text) = fs::read_to_string(&path) {
            assert_eq!(
                fault(&schema(), &serde_json::from_str(&text).unwrap(), ""),
                None,
                "{}",
                path.display()
            );
            files += 1;
        }
    }
    assert!(files > 0, "no results.json below {}", folder.display());
}
