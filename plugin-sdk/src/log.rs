//! Logging: [`error!`](crate::error!), [`warn!`](crate::warn!), [`info!`](crate::info!), [`debug!`](crate::debug!).
//!
//! A log holds no address and nothing of what people say or share, above the level debug.

/// The user must act.
pub const ERROR: u8 = 0;
/// Something is off, and dealt with.
pub const WARN: u8 = 1;
/// What a user may like to know.
pub const INFO: u8 = 2;
/// What a developer may like to know.
pub const DEBUG: u8 = 3;

/// Longer lines are cut, so that what is logged of a hostile message fills no disk.
const LINE_MAX: usize = 4 * 1024;

/// Writes a line; outside of the host, in a test, to standard error.
pub fn write(level: u8, line: &str) {
    let line = cut(line);
    #[cfg(target_arch = "wasm32")]
    crate::bindings::plugin::mute::plugin::log::write(level, line);
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{level} {line}");
}

fn cut(line: &str) -> &str {
    &line[..line.floor_char_boundary(LINE_MAX)]
}

/// Makes a panic tell its text and place, which is lost else.
pub(crate) fn log_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|panic| write(ERROR, &panic.to_string()))));
}

/// Logs a line, formatted as by `format!`, at the level error.
#[macro_export]
macro_rules! error {
    ($($part:tt)+) => { $crate::log::write($crate::log::ERROR, &format!($($part)+)) };
}

/// Logs a line, formatted as by `format!`, at the level warn.
#[macro_export]
macro_rules! warn {
    ($($part:tt)+) => { $crate::log::write($crate::log::WARN, &format!($($part)+)) };
}

/// Logs a line, formatted as by `format!`, at the level info.
#[macro_export]
macro_rules! info {
    ($($part:tt)+) => { $crate::log::write($crate::log::INFO, &format!($($part)+)) };
}

/// Logs a line, formatted as by `format!`, at the level debug.
#[macro_export]
macro_rules! debug {
    ($($part:tt)+) => { $crate::log::write($crate::log::DEBUG, &format!($($part)+)) };
}

#[cfg(test)]
mod tests {
    #[test]
    fn long_lines_are_cut_between_characters() {
        assert_eq!(super::cut("short"), "short");
        let cut = super::cut(&"ä".repeat(4000)).len();
        assert!((4093..=4096).contains(&cut));
    }
}
