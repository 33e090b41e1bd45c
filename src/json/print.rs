//! Text of the values without parts, as `serde_json` writes them.

use std::fmt::{Display, Write};

/// Writes a string in quotes. What must be escaped is: quotes, backslashes and control characters.
pub(super) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut written = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            0x0c => "\\f",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "\\u",
            _ => continue,
        };
        out.push_str(&text[written..at]);
        out.push_str(escape);
        if escape == "\\u" {
            write_display(out, format_args!("{byte:04x}"));
        }
        written = at + 1;
    }
    out.push_str(&text[written..]);
    out.push('"');
}

pub(super) fn write_display(out: &mut String, value: impl Display) {
    write!(out, "{value}").expect("a string takes all text");
}

/// Writes the shortest text that is read as the same double, the even one of two that are equally near; null for what is no
/// number.
pub(super) fn write_f64(out: &mut String, number: f64) {
    if !number.is_finite() {
        return out.push_str("null");
    }
    let shortest = format!("{number:e}");
    write_shortest(out, even_neighbour(number, &shortest).as_ref().unwrap_or(&shortest));
}

/// The number of significant digits up to which different decimals are different doubles.
const DISTINCT_DIGITS: usize = 15;

/// More digits than a double has that is halfway between two decimals of 16 or 17 digits.
const ALL_DIGITS: usize = 40;

/// Returns the text below an odd one if the number is halfway between the two and is read from both: the standard library
/// rounds up there.
fn even_neighbour(number: f64, shortest: &str) -> Option<String> {
    let (mantissa, exponent) = shortest.split_once('e')?;
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let last = mantissa.chars().last()?.to_digit(10)?;
    if digits <= DISTINCT_DIGITS || last % 2 == 0 {
        return None;
    }
    let exact = format!("{number:.ALL_DIGITS$e}");
    let (below, rest) = exact.split_once('e')?.0.split_at(mantissa.len());
    let is_halfway = rest.strip_prefix('5').is_some_and(|zeros| zeros.bytes().all(|digit| digit == b'0'));
    let below = format!("{below}e{exponent}");
    (is_halfway && below.parse() == Ok(number)).then_some(below)
}

/// The same for a number of single precision.
pub(super) fn write_f32(out: &mut String, number: f32) {
    if !number.is_finite() {
        return out.push_str("null");
    }
    write_shortest(out, &format!("{number:e}"));
}

/// Writes scientific notation, `-1.25e-7`, with a decimal point in its place where that is short.
fn write_shortest(out: &mut String, scientific: &str) {
    let (mantissa, exponent) = scientific.split_once('e').expect("scientific notation has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent of a double is small");
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if mantissa.starts_with('-') {
        out.push('-');
    }
    let count = i32::try_from(digits.len()).expect("the shortest text of a double has up to 17 digits");
    let point = exponent + 1; // the number of digits before the point
    let zeros = |of: i32| "0".repeat(usize::try_from(of).unwrap_or_default());
    match point {
        _ if point >= count && point <= 16 => write_display(out, format_args!("{digits}{}.0", zeros(point - count))),
        1..=16 => {
            let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or_default());
            write_display(out, format_args!("{whole}.{fraction}"));
        }
        -4..=0 => write_display(out, format_args!("0.{}{digits}", zeros(-point))),
        _ => write_display(out, format_args!("{mantissa}e{exponent:+}", mantissa = mantissa.trim_start_matches('-'))),
    }
}
