//! The part of Python's pickle format in which `torch.save` writes a dictionary of tensors.
//!
//! A pickle is a program for a machine with a stack and a memo. The machine here knows the instructions of a state dict and no
//! others; it calls nothing, and its values are numbers, places in the text, and tuples and dictionaries of such. A tensor is
//!
//! ```text
//! torch._utils._rebuild_tensor_v2(('storage', torch.FloatStorage, key, device, length), offset, shape, strides, ..)
//! ```
//!
//! and `key` is the name of the entry of the archive that has its numbers.

use std::collections::HashMap;

/// Values that a program may make: a state dict of ten tensors makes some three hundred.
const MOST: usize = 4096;

/// A pickle is not that of a dictionary of tensors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// The program stops in the middle.
    #[error("the pickle ends within an instruction")]
    Truncated,
    /// An instruction that is unknown, or that finds other values than a state dict would have there.
    #[error("byte {at}: instruction {found:#04x} has no place in a dictionary of tensors")]
    Instruction {
        /// Its place in the pickle.
        at: usize,
        /// Its code.
        found: u8,
    },
    /// More values than any such dictionary has.
    #[error("byte {at}: more than {MOST} values")]
    TooMany {
        /// The place in the pickle.
        at: usize,
    },
    /// An entry of the dictionary is no tensor.
    #[error("entry {name}: no tensor")]
    NoTensor {
        /// Its key.
        name: String,
    },
    /// The numbers do not lie in the order of the array.
    #[error("tensor {name}: expected row-major strides, found {found:?}")]
    Strides {
        /// Its name.
        name: String,
        /// What the pickle says.
        found: Vec<usize>,
    },
}

/// What the pickle says of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described<'a> {
    pub(crate) name: &'a str,
    /// Name of the class of its storage, like `FloatStorage`.
    pub(crate) storage: &'a str,
    /// Name of the entry with its numbers.
    pub(crate) key: &'a str,
    /// Numbers before its own.
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    strides: Vec<usize>,
}

impl Described<'_> {
    /// Refuses an array that is not stored row by row.
    pub(crate) fn check_strides(&self) -> Result<(), PickleError> {
        // Along an axis of one element any stride will do.
        let mut stride = 1_usize;
        let mut axes = self.shape.iter().zip(&self.strides).rev();
        let row_major = axes.all(|(&extent, &found)| {
            let fits = extent == 1 || found == stride;
            stride = stride.saturating_mul(extent);
            fits
        });
        if row_major && self.shape.len() == self.strides.len() {
            return Ok(());
        }
        Err(PickleError::Strides { name: self.name.into(), found: self.strides.clone() })
    }
}

/// Runs the program of a state dict.
pub(crate) fn state_dict(pickle: &[u8]) -> Result<Vec<Described<'_>>, PickleError> {
    let mut machine = Machine::default();
    let mut program = Program { bytes: pickle, at: 0 };
    loop {
        let at = program.at;
        let found = program.byte()?;
        match machine.step(found, &mut program)? {
            Some(Outcome::Continues) => {}
            Some(Outcome::Stops(dictionary)) => return machine.tensors(dictionary),
            None => return Err(PickleError::Instruction { at, found }),
        }
        if machine.values() > MOST {
            return Err(PickleError::TooMany { at });
        }
    }
}

struct Program<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Program<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], PickleError> {
        let rest = &self.bytes[self.at..];
        let (taken, _) = rest.split_at_checked(length).ok_or(PickleError::Truncated)?;
        self.at += length;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        Ok(self.take(1)?[0])
    }

    /// A little-endian number of up to eight bytes.
    fn number(&mut self, bytes: usize) -> Result<u64, PickleError> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn line(&mut self) -> Result<&'a [u8], PickleError> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or(PickleError::Truncated)?;
        let line = self.take(length)?;
        self.at += 1;
        Ok(line)
    }
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Mark,
    /// None, or a truth value.
    Other,
    Number(usize),
    Text(&'a str),
    /// A class or a function, by its name.
    Global(&'a str, &'a str),
    /// Where its elements are.
    Tuple(usize, usize),
    /// By the order in which they were made.
    Dictionary(usize),
    Storage {
        class: &'a str,
        key: &'a str,
    },
    Tensor {
        class: &'a str,
        key: &'a str,
        offset: usize,
        shape: (usize, usize),
        strides: (usize, usize),
    },
}

enum Outcome {
    Continues,
    Stops(usize),
}

#[derive(Default)]
struct Machine<'a> {
    stack: Vec<Value<'a>>,
    memo: HashMap<u64, Value<'a>>,
    /// Of all tuples.
    elements: Vec<Value<'a>>,
    dictionaries: usize,
    /// Of all dictionaries: whose, the key, the value.
    entries: Vec<(usize, &'a str, Value<'a>)>,
}

impl<'a> Machine<'a> {
    fn values(&self) -> usize {
        self.stack.len() + self.memo.len() + self.elements.len() + self.entries.len() + self.dictionaries
    }

    /// One instruction; `None` if it has no place here.
    fn step(&mut self, code: u8, program: &mut Program<'a>) -> Result<Option<Outcome>, PickleError> {
        let value = match code {
            // The version of the protocol.
            0x80 => return Ok((program.byte()? == 2).then_some(Outcome::Continues)),
            b'(' => Some(Value::Mark),
            b'N' | 0x88 | 0x89 => Some(Value::Other),
            b'K' => number(program.number(1)?),
            b'M' => number(program.number(2)?),
            // Signed, but no size or offset is negative.
            b'J' => i32::try_from(program.number(4)?).ok().and_then(|n| number(n as u64)),
            b'X' => {
                let length = program.number(4)? as usize;
                text(program.take(length)?).map(Value::Text)
            }
            b'c' => {
                let (module, name) = (program.line()?, program.line()?);
                text(module).zip(text(name)).map(|(module, name)| Value::Global(module, name))
            }
            b'h' => self.memo.get(&program.number(1)?).copied(),
            b'j' => self.memo.get(&program.number(4)?).copied(),
            b'q' | b'r' => {
                let place = program.number(if code == b'q' { 1 } else { 4 })?;
                let last = self.stack.last().copied();
                return Ok(last.map(|last| {
                    self.memo.insert(place, last);
                    Outcome::Continues
                }));
            }
            b'.' => {
                return Ok(match self.stack[..] {
                    [Value::Dictionary(number)] => Some(Outcome::Stops(number)),
                    _ => None,
                });
            }
            b's' | b'u' => return Ok(self.set_items(code == b's').map(|()| Outcome::Continues)),
            // The state of an object: nothing that tensors need.
            b'b' => return Ok(self.pop().and(self.stack.last()).map(|_| Outcome::Continues)),
            b')' => self.tuple(self.stack.len()),
            0x85..=0x87 => {
                let length = usize::from(code - 0x84);
                self.stack.len().checked_sub(length).and_then(|first| self.tuple(first))
            }
            b't' => self.mark().and_then(|mark| {
                let tuple = self.tuple(mark + 1);
                self.stack.pop();
                tuple
            }),
            b'}' => Some(self.dictionary()),
            b'Q' => self.pop().and_then(|id| self.storage(id)),
            b'R' => self.reduce(),
            _ => None,
        };
        Ok(value.map(|value| {
            self.stack.push(value);
            Outcome::Continues
        }))
    }

    /// Takes a value, which is no mark.
    fn pop(&mut self) -> Option<Value<'a>> {
        self.stack.pop().filter(|value| !matches!(value, Value::Mark))
    }

    /// Place of the last mark.
    fn mark(&self) -> Option<usize> {
        self.stack.iter().rposition(|value| matches!(value, Value::Mark))
    }

    /// A tuple of what lies on the stack from `first` on.
    fn tuple(&mut self, first: usize) -> Option<Value<'a>> {
        let start = self.elements.len();
        self.elements.extend(self.stack.drain(first..));
        let elements = &self.elements[start..];
        let marked = elements.iter().any(|value| matches!(value, Value::Mark));
        (!marked).then_some(Value::Tuple(start, self.elements.len()))
    }

    fn dictionary(&mut self) -> Value<'a> {
        self.dictionaries += 1;
        Value::Dictionary(self.dictionaries - 1)
    }

    fn set_items(&mut self, one: bool) -> Option<()> {
        let first = if one { self.stack.len().checked_sub(2)? } else { self.mark()? + 1 };
        let owner = if one { first } else { first - 1 }.checked_sub(1)?;
        let &Value::Dictionary(number) = self.stack.get(owner)? else { return None };
        let (pairs, rest) = self.stack[first..].as_chunks::<2>();
        if !rest.is_empty() {
            return None;
        }
        for pair in pairs {
            let &[Value::Text(key), value] = pair else { return None };
            self.entries.push((number, key, value));
        }
        self.stack.truncate(owner + 1);
        Some(())
    }

    fn storage(&self, id: Value<'a>) -> Option<Value<'a>> {
        match self.elements_of(id)? {
            [
                Value::Text("storage"),
                Value::Global("torch", class),
                Value::Text(key),
                _,
                Value::Number(_),
            ] => Some(Value::Storage { class, key }),
            _ => None,
        }
    }

    /// Calls a function of a state dict, of which there are two.
    fn reduce(&mut self) -> Option<Value<'a>> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Value::Global(module, name) = function else { return None };
        match (module, name, self.elements_of(arguments)?) {
            ("collections", "OrderedDict", []) => Some(self.dictionary()),
            (
                "torch._utils",
                "_rebuild_tensor_v2",
                &[
                    Value::Storage { class, key },
                    Value::Number(offset),
                    Value::Tuple(a, b),
                    Value::Tuple(c, d),
                    ..,
                ],
            ) => Some(Value::Tensor { class, key, offset, shape: (a, b), strides: (c, d) }),
            _ => None,
        }
    }

    fn elements_of(&self, tuple: Value<'a>) -> Option<&[Value<'a>]> {
        match tuple {
            Value::Tuple(start, end) => self.elements.get(start..end),
            _ => None,
        }
    }

    fn numbers(&self, (start, end): (usize, usize)) -> Vec<usize> {
        let number = |value: &Value<'_>| if let Value::Number(n) = value { *n } else { usize::MAX };
        self.elements[start..end].iter().map(number).collect()
    }

    /// The tensors of a dictionary, which has nothing else.
    fn tensors(&self, dictionary: usize) -> Result<Vec<Described<'a>>, PickleError> {
        let own = self.entries.iter().filter(|(owner, ..)| *owner == dictionary);
        own.map(|&(_, name, value)| {
            let Value::Tensor { class, key, offset, shape, strides } = value else {
                return Err(PickleError::NoTensor { name: name.into() });
            };
            let (shape, strides) = (self.numbers(shape), self.numbers(strides));
            Ok(Described { name, storage: class, key, offset, shape, strides })
        })
        .collect()
    }
}

fn number<'a>(n: u64) -> Option<Value<'a>> {
    usize::try_from(n).ok().map(Value::Number)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `OrderedDict([("w", a tensor (2, 3) of storage "7" from 5 on)])`, as `torch.save` writes it.
    const PICKLE: &[u8] = b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(X\x01\x00\x00\x00wq\x02\
        ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x007\
        X\x03\x00\x00\x00cpuK\x0btQK\x05K\x02K\x03\x86K\x03K\x01\x86\x89h\x00)RtRu.";

    #[test]
    fn a_state_dict_is_understood() {
        let found = state_dict(PICKLE).unwrap();
        let (shape, strides) = (vec![2, 3], vec![3, 1]);
        let tensor = Described { name: "w", storage: "FloatStorage", key: "7", offset: 5, shape, strides };
        assert_eq!(found, [tensor]);
        found[0].check_strides().unwrap();
    }

    #[test]
    fn anything_else_is_refused() {
        for length in 0..PICKLE.len() {
            assert_eq!(state_dict(&PICKLE[..length]), Err(PickleError::Truncated), "{length}");
        }
        let with = |from: &[u8], to: &[u8]| {
            let at = PICKLE.windows(from.len()).position(|bytes| bytes == from).unwrap();
            state_dict(&[&PICKLE[..at], to, &PICKLE[at + from.len()..]].concat()).unwrap_err()
        };
        assert!(matches!(with(b"\x02ccoll", b"\x03ccoll"), PickleError::Instruction { at: 0, .. }));
        assert!(matches!(with(b"OrderedDict", b"defaultdict"), PickleError::Instruction { found: b'R', .. }));
        assert!(matches!(
            with(b"ctorch._utils\n_rebuild_tensor_v2", b"cos\nsystem"),
            PickleError::Instruction { .. }
        ));
        assert!(matches!(
            with(b"storagectorch", b"storagecother"),
            PickleError::Instruction { found: b'Q', .. }
        ));
        for (strides, found) in [(b"K\x01K\x02\x86", vec![1, 2]), (b"K\x00K\x01\x86", vec![0, 1])] {
            let at = PICKLE.windows(5).rposition(|bytes| bytes == b"K\x03K\x01\x86").unwrap();
            let pickle = [&PICKLE[..at], strides, &PICKLE[at + 5..]].concat();
            let error = state_dict(&pickle).unwrap()[0].check_strides().unwrap_err();
            assert_eq!(error, PickleError::Strides { name: "w".into(), found });
        }
        assert!(matches!(with(b"X\x01\x00\x00\x00w", b"X\xff\xff\xff\xffw"), PickleError::Truncated));
        // Twice as much with every instruction, if it were copied.
        let doubling = [&b"\x80\x02)"[..], &b"q\x00h\x00\x86".repeat(5000)].concat();
        assert!(matches!(state_dict(&doubling), Err(PickleError::TooMany { .. })));
    }
}
