//! The documents against the repository: links, the table of contents, the table of equations.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where published links into the repository point.
const REPOSITORY: &str = "https://github.com/lattice-diffusion/lattice-diffusion/blob/main/";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// All Markdown files in a folder, not those below it.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

fn documents() -> Vec<PathBuf> {
    let root = root();
    let mut all = [pages(&root), pages(&root.join("docs")), pages(&root.join("docs/crates"))].concat();
    all.extend(
        fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path().join("README.md")),
    );
    all
}

/// The text without its fenced code and code spans, where nothing is a link or a heading.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut out = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            // Every other part between backquotes is code.
            out.extend(line.split('`').enumerate().map(|(i, part)| if i % 2 == 0 { part } else { "code" }));
            out.push('\n');
        }
    }
    out
}

/// The targets of `[..](target)` and `![..](target)`.
fn links(text: &str) -> Vec<String> {
    prose(text).split("](").skip(1).map(|rest| rest[..rest.find(')').unwrap()].to_owned()).collect()
}

/// The anchors that GitHub and mdBook give to headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let slug = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    headings.map(slug).collect()
}

/// What is wrong with a link of a document, if anything is. Other sites are not asked.
fn fault(document: &Path, link: &str) -> Option<String> {
    let target = match link.strip_prefix(REPOSITORY) {
        Some(path) => root().join(path),
        None if link.contains("://") => return None,
        None => document.parent().unwrap().join(link),
    };
    let target = target.to_str().unwrap();
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = if file.ends_with('/') && !link.ends_with('/') { document } else { Path::new(file) };
    let there = match anchor {
        "" => file.exists(),
        _ => fs::read_to_string(file).is_ok_and(|text| anchors(&text).contains(anchor)),
    };
    (!there).then(|| format!("{}: {link}", document.display()))
}

#[test]
fn links_point_somewhere() {
    let mut faults = Vec::new();
    for document in documents() {
        let links = links(&fs::read_to_string(&document).unwrap());
        faults.extend(links.iter().filter_map(|link| fault(&document, link)));
    }
    assert!(faults.is_empty(), "dead links:\n{}", faults.join("\n"));
}

#[test]
fn a_dead_link_is_found() {
    let theory = root().join("docs/theory.md");
    for dead in ["no.md", "theory.md#no", "#no", "figures/no.svg", &format!("{REPOSITORY}no.md")] {
        assert!(fault(&theory, dead).is_some(), "{dead}");
    }
    for live in ["guide.md", "theory.md#the-two-peak-model", "#the-two-peak-model", "https://other.org/no"] {
        assert_eq!(fault(&theory, live), None);
    }
}

/// Links inside the book stay inside it: a page of the book does not know where the sources are.
#[test]
fn the_book_holds_all_its_pages_and_links_to_nothing_beside_it() {
    let docs = fs::canonicalize(root().join("docs")).unwrap();
    let listed: BTreeSet<String> =
        links(&fs::read_to_string(docs.join("SUMMARY.md")).unwrap()).into_iter().collect();
    for page in [pages(&docs), pages(&docs.join("crates"))].concat() {
        let name = page.strip_prefix(&docs).unwrap().to_str().unwrap();
        assert!(name == "SUMMARY.md" || listed.contains(name), "{name} is not in SUMMARY.md");
        for link in links(&fs::read_to_string(&page).unwrap()) {
            let place = fs::canonicalize(page.parent().unwrap().join(link.split('#').next().unwrap()));
            let inside = place.is_ok_and(|place| place.starts_with(&docs));
            assert!(link.contains("://") || inside, "{name} links out of the book: {link}");
        }
    }
}

#[test]
fn equations_are_where_the_theory_says() {
    let theory = fs::read_to_string(root().join("docs/theory.md")).unwrap();
    let mut rows = 0;
    for line in theory.lines().filter(|line| line.contains(".rs` |")) {
        let cells: Vec<&str> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let (equation, item, file) = (cells[1], cells[3], cells[4]);
        let source = fs::read_to_string(root().join(file)).unwrap_or_else(|_| panic!("{file} is not there"));
        let number = equation.trim_matches(['[', ']']);
        let cited = source.split('[').skip(1).filter_map(|rest| rest.split_once(']'));
        let cited = cited.flat_map(|(inside, _)| inside.split(", ")).any(|found| found == number);
        let named = source.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == item);
        assert!(cited, "{file} does not cite {equation}");
        assert!(named, "{file} does not name {item}");
        rows += 1;
    }
    assert!(rows > 30, "only {rows} equations in the table");
}

fn cargo(words: &[&str]) -> String {
    let output = std::process::Command::new(env!("CARGO")).args(words).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// How many other crates come along with one.
fn brought(name: &str, options: &[&str]) -> usize {
    let tree = ["tree", "--offline", "-p", name, "-e", "normal", "--prefix", "none"];
    let tree = cargo(&[&tree, options].concat());
    let crates: BTreeSet<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    crates.len() - 1
}

#[test]
fn readmes_say_how_many_crates_come_along() {
    let overview = fs::read_to_string(root().join("README.md")).unwrap();
    for (name, folder) in [
        ("sde-core", "sde-core"),
        ("cumulants", "cumulants"),
        ("lattice-phi4", "lattice-phi4"),
        ("score-nets", "score-nets"),
        ("lattice-diffusion", "diffusion"),
    ] {
        let others = brought(name, &[]);
        assert!(others < 40 || name == "score-nets", "{name} brings {others}");
        let readme = fs::read_to_string(root().join("crates").join(folder).join("README.md")).unwrap();
        assert!(readme.contains(&format!("Brings {others} other crates.")), "{name} brings {others}");
        let row = overview.lines().find(|line| line.starts_with(&format!("| [`{name}`]"))).unwrap();
        assert!(row.ends_with(&format!("| {others} |")), "{name} brings {others}: {row}");
    }
}

#[test]
fn a_lattice_with_files_brings_more() {
    let others = brought("lattice-phi4", &["--features", "files"]);
    for (page, says) in [
        ("README.md", format!("with its feature `files`, which reads and writes them, brings {others}.")),
        ("crates/lattice-phi4/README.md", format!("reads and writes files, and makes them {others}:")),
        ("docs/crates/lattice-phi4.md", format!("With it {others} other crates come along")),
    ] {
        assert!(fs::read_to_string(root().join(page)).unwrap().contains(&says), "{page}: {says}");
    }
}

/// They are doctests, and `scripts/package.sh` runs them outside the workspace.
#[test]
fn the_example_of_a_readme_has_at_most_fifteen_lines() {
    for folder in ["sde-core", "cumulants", "lattice-phi4", "score-nets", "diffusion"] {
        let readme = fs::read_to_string(root().join("crates").join(folder).join("README.md")).unwrap();
        let examples: Vec<&str> = readme.split("```rust\n").skip(1).collect();
        let [example] = examples[..] else { panic!("{folder} has {} examples", examples.len()) };
        let lines = example.lines().take_while(|line| *line != "```").count();
        assert!(lines <= 15, "{folder}: {lines} lines");
    }
}

/// Which Rust is needed at least, for the crates and for what they bring; clippy looks after the standard library. Nets are for later
/// ones: candle declares none.
#[test]
fn no_dependency_needs_a_later_rust() {
    let platform = ["--filter-platform", "x86_64-unknown-linux-gnu"];
    let metadata = cargo(&[&["metadata", "--format-version", "1"][..], &platform].concat());
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let minor =
        |version: &str| version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok()).unwrap();
    for package in metadata["packages"].as_array().unwrap() {
        let needed = package["rust_version"].as_str().map_or(0, minor);
        let declared = if package["name"] == "score-nets" { 94 } else { 89 };
        assert!(needed <= declared, "{} needs Rust 1.{needed}", package["name"]);
    }
}

/// The crates that a member of the workspace depends on, of the five.
#[test]
fn the_picture_of_the_crates_is_right() {
    let metadata = cargo(&["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let table: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('`').skip(1).step_by(2).collect())
        .collect();
    // diffusion-mpi stands beside the examples; testing is for tests alone.
    let library = |package: &&serde_json::Value| {
        let beside = ["diffusion-mpi", "testing"];
        text(&package["manifest_path"]).contains("/crates/") && !beside.contains(&&*text(&package["name"]))
    };
    let packages: Vec<_> = metadata["packages"].as_array().unwrap().iter().filter(library).collect();
    let names: BTreeSet<String> = packages.iter().map(|package| text(&package["name"])).collect();
    assert_eq!(names.len(), 5);
    for package in packages {
        let dependencies = package["dependencies"].as_array().unwrap();
        let normal = dependencies.iter().filter(|d| d["kind"].is_null()).map(|d| text(&d["name"]));
        let found: BTreeSet<String> = normal.filter(|name| names.contains(name)).collect();
        let name = text(&package["name"]);
        let row =
            table.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("{name} is not in the table"));
        let shown: BTreeSet<String> = row[1..].iter().map(|&name| name.to_owned()).collect();
        assert_eq!(shown, found, "{name}");
    }
}
