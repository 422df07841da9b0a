//! A strict JSON reader and a compact writer: objects, arrays, strings, integers, `true`, `false`, `null`.
//!
//! The protocol knows no fractions, so a number with one is an error, and so are numbers beyond 64 bits, members that
//! occur twice, and anything after the value.

use std::fmt::{self, Write as _};
use std::iter::Peekable;
use std::str::Chars;

/// Arrays and objects may be nested so deeply, and no deeper: the reader calls itself for each.
const MAX_DEPTH: u32 = 32;

/// One JSON value. The members of an object keep their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Text(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The member of that name, if this is an object that has one.
    pub fn member(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Value::Integer(i64::try_from(value).expect("the protocol's integers are below 2^63"))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Value::Array(items.into_iter().map(Into::into).collect())
    }
}

/// An object with these members, in this order.
pub fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => out.write_str("null"),
            Value::Bool(value) => write!(out, "{value}"),
            Value::Integer(value) => write!(out, "{value}"),
            Value::Text(text) => write_text(out, text),
            Value::Array(items) => {
                out.write_char('[')?;
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.write_char(',')?;
                    }
                    write!(out, "{item}")?;
                }
                out.write_char(']')
            }
            Value::Object(members) => {
                out.write_char('{')?;
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.write_char(',')?;
                    }
                    write_text(out, name)?;
                    write!(out, ":{value}")?;
                }
                out.write_char('}')
            }
        }
    }
}

fn write_text(out: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            control if control < ' ' => write!(out, "\\u{:04x}", u32::from(control))?,
            other => out.write_char(other)?,
        }
    }
    out.write_char('"')
}

/// Read one value, which is the whole of `text`. The error says what is wrong.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader { rest: text.chars().peekable() };
    let value = reader.value(0)?;
    reader.skip_space();
    match reader.rest.next() {
        None => Ok(value),
        Some(extra) => Err(format!("{extra:?} after the value")),
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        while self.rest.next_if(|next| matches!(next, ' ' | '\t' | '\r' | '\n')).is_some() {}
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        match self.rest.next() {
            Some(found) if found == wanted => Ok(()),
            Some(found) => Err(format!("{found:?} where {wanted:?} should be")),
            None => Err(format!("it ends where {wanted:?} should be")),
        }
    }

    fn value(&mut self, depth: u32) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} deep"));
        }
        self.skip_space();
        match self.rest.peek() {
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('"') => self.text().map(Value::Text),
            Some('-' | '0'..='9') => self.integer(),
            Some(_) => self.word(),
            None => Err("it ends where a value should be".to_owned()),
        }
    }

    fn object(&mut self, depth: u32) -> Result<Value, String> {
        let mut members: Vec<(String, Value)> = Vec::new();
        self.expect('{')?;
        self.skip_space();
        if self.rest.next_if_eq(&'}').is_some() {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_space();
            let name = self.text()?;
            if members.iter().any(|(known, _)| *known == name) {
                return Err(format!("{name:?} occurs twice"));
            }
            self.skip_space();
            self.expect(':')?;
            members.push((name, self.value(depth + 1)?));
            self.skip_space();
            if self.rest.next_if_eq(&',').is_none() {
                self.expect('}')?;
                return Ok(Value::Object(members));
            }
        }
    }

    fn array(&mut self, depth: u32) -> Result<Value, String> {
        let mut items = Vec::new();
        self.expect('[')?;
        self.skip_space();
        if self.rest.next_if_eq(&']').is_some() {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.rest.next_if_eq(&',').is_none() {
                self.expect(']')?;
                return Ok(Value::Array(items));
            }
        }
    }

    fn word(&mut self) -> Result<Value, String> {
        let mut word = String::new();
        while let Some(letter) = self.rest.next_if(char::is_ascii_alphabetic) {
            word.push(letter);
        }
        match word.as_str() {
            "null" => Ok(Value::Null),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(format!("{word:?} is no value")),
        }
    }

    fn integer(&mut self) -> Result<Value, String> {
        let mut digits = String::new();
        digits.extend(self.rest.next_if_eq(&'-'));
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        if matches!(self.rest.peek(), Some('.' | 'e' | 'E')) {
            return Err(format!("{digits} goes on: only integers are known here"));
        }
        let unsigned = digits.trim_start_matches('-');
        if unsigned.len() > 1 && unsigned.starts_with('0') {
            return Err(format!("{digits} has a leading zero"));
        }
        digits.parse().map(Value::Integer).map_err(|_| format!("{digits} is no integer of 64 bits"))
    }

    fn text(&mut self) -> Result<String, String> {
        let mut text = String::new();
        self.expect('"')?;
        loop {
            match self.rest.next() {
                None => return Err("a string without its end".to_owned()),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(control) if control < ' ' => return Err(format!("{control:?} in a string")),
                Some(other) => text.push(other),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        match self.rest.next() {
            Some(same @ ('"' | '\\' | '/')) => Ok(same),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => self.unicode_escape(),
            _ => Err("an escape that does not exist".to_owned()),
        }
    }

    /// What follows `\u`: one character, or a surrogate and its partner in a second escape.
    fn unicode_escape(&mut self) -> Result<char, String> {
        let first = self.four_hex_digits()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            self.expect('\\')?;
            self.expect('u')?;
            let second = self.four_hex_digits()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(format!("\\u{first:04x} without its partner"));
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| format!("\\u{first:04x} without its partner"))
    }

    fn four_hex_digits(&mut self) -> Result<u32, String> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.rest.next().and_then(|digit| digit.to_digit(16));
            code = code * 16 + digit.ok_or("\\u wants four hexadecimal digits")?;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written() {
        let line = r#"{"seq":1,"a":[-1,0,9223372036854775807,[]],"b":{},"c":null,"d":true,"e":"ä\"\\\u0001"}"#;
        assert_eq!(parse(line).unwrap().to_string(), line);
        assert_eq!(parse(r#" "\ud83d\ude00\n" "#).unwrap(), Value::Text("😀\n".to_owned()));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let wrong = [
            "", "{", "[1,]", "{\"a\":1,\"a\":2}", "01", "1.5", "1e3", "-", "9223372036854775808", "nul", "\"\\x\"",
            "\"\\ud800\"", "\"\\udc00\"", "1 2", "\"a", "{a:1}", "\"\n\"",
        ];
        for line in wrong {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
