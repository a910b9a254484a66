//! What a process used of the machine, as the system counts it.

use std::fs;

use crate::control::Resources;

/// Milliseconds in a tick of `/proc/PID/stat`: the kernel's USER_HZ is 100 for every architecture that MUTE runs on.
const TICK_MS: u64 = 10;

/// What this process has used until now; zeros where there is no `/proc`.
pub(crate) fn own() -> Resources {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    Resources {
        cpu_ms: cpu_ms(&stat),
        resident_bytes: kilobytes(&status, "VmRSS:"),
        peak_resident_bytes: kilobytes(&status, "VmHWM:"),
    }
}

/// User and system time. The program's name comes second, in parentheses, and may hold anything but is the last with one.
fn cpu_ms(stat: &str) -> u64 {
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace());
    // The state follows the name as the third field; user time is the 14th, system time the 15th.
    let ticks = fields.into_iter().flatten().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    ticks.sum::<u64>() * TICK_MS
}

fn kilobytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found() {
        assert_eq!(cpu_ms("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0"), 3000);
        assert_eq!(kilobytes("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n", "VmHWM:"), 2 << 20);
        assert_eq!(cpu_ms("") + kilobytes("", "VmRSS:"), 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_has_memory() {
        let own = own();
        assert!(own.peak_resident_bytes >= own.resident_bytes && own.resident_bytes > 0);
    }
}
