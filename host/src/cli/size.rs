//! Amounts of bytes and times, as people write and read them.

use std::time::Duration;

/// The bytes in `300M`, `1.5G`, `4096`: units of 1,000, or of 1,024 with an `i` (`4Ki`).
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().trim_end_matches(['B', 'b']).to_ascii_lowercase();
    let (prefix, base) = unit.strip_suffix('i').map_or((unit.as_str(), 1000_u64), |prefix| (prefix, 1024));
    let power = ["", "k", "m", "g", "t"].iter().position(|known| *known == prefix);
    let (Ok(number), Some(power)) = (number.parse::<f64>(), power) else {
        return Err("not an amount of bytes: write 300M or 1.5G".into());
    };
    let factor = base.pow(power as u32) as f64;
    let bytes = number * factor;
    // 2^53: beyond it the product is no longer exact; no file is that large.
    if (1.0..9.0e15).contains(&bytes) {
        Ok(bytes as u64)
    } else {
        Err("must be at least one byte and less than 9 PB".into())
    }
}

/// As `12.3 MB`.
pub(crate) fn bytes(amount: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = amount as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{amount} B"),
        _ if value < 9.95 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// As `35 ms`, `2.4 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`.
pub(crate) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// As `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read() {
        for (text, expected) in
            [("1", 1), ("300M", 300_000_000), ("1.5G", 1_500_000_000), ("4Ki", 4096), ("2 MB", 2_000_000)]
        {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for text in ["", "M", "-1", "1X", "0", "nan", "1e9", "99999999T"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_are_written() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(999_900), "1.0 MB");
        assert_eq!(bytes(12_345_678), "12 MB");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(time(Duration::from_millis(35)), "35 ms");
        assert_eq!(time(Duration::from_secs(200)), "3 min 20 s");
    }
}
