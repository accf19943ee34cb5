//! What the files of `/proc/PID` say of a process. They are read by whoever wants to know.

use std::time::Duration;

/// Resident bytes, from `statm`.
pub fn resident(statm: &str, page_bytes: u64) -> Option<u64> {
    statm.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(page_bytes)
}

/// Bytes that the kernel cannot take back, from `status`: without pages of files. A process that has ended and is not reaped has none
/// of these lines.
pub fn held(status: &str) -> Option<u64> {
    let kibibytes = |name| field(status, name)?.strip_suffix("kB")?.trim_end().parse::<u64>().ok();
    kibibytes("RssAnon")?.checked_add(kibibytes("RssShmem")?)?.checked_mul(1024)
}

/// Threads, from `status`.
pub fn threads(status: &str) -> Option<u64> {
    field(status, "Threads")?.parse().ok()
}

/// CPU time, user and system, of all threads, from `stat`: fields 14 and 15, counted after the command name, which is in parentheses
/// and may hold anything.
pub fn cpu(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    let millis = user.checked_add(system)?.checked_mul(1000)?.checked_div(ticks_per_second)?;
    Some(Duration::from_millis(millis))
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = status.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(found, _)| *found == name).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_hostile_names() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 5 1000 10";
        assert_eq!(cpu(stat, 100), Some(Duration::from_secs(3)));
        assert_eq!(cpu("7 (a", 100), None);
        assert_eq!(resident("100 20 3 1 0 5 0", 4096), Some(81920));
        assert_eq!(resident("", 4096), None);
        let status = "Name:\tRssAnon: 1 kB\nVmRSS:\t   90 kB\nRssAnon:\t   50 kB\nRssFile:\t   30 kB\nRssShmem:\t   10 kB\nThreads:\t7\n";
        assert_eq!((held(status), threads(status)), (Some(60 << 10), Some(7)));
        assert_eq!(held("Name:\ta\nState:\tZ (zombie)\n"), None);
    }
}
