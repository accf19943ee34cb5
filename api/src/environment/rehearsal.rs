//! What a program does behind its first `execute` when it is planned: just enough to see whether there is a second.
//!
//! A program is one job, and on a cluster a second `execute` would be left out without a word. It can only be seen by
//! going on in `main`, and yet what stands behind `execute` must not happen when a program is planned: it may announce
//! that the job has finished. So the process first gives up, for good, everything by which it could reach the outside: it
//! may compute, use memory, read files, and print to nowhere. Whatever else it tries ends it, as success, and so does its
//! own end, however that comes about, and a bound on time. Only a second `execute` ends it with a code of its own.
//!
//! Where the kernel does not let a process confine itself, the first `execute` ends it.
//!
//! The unsafe code is system calls that have no wrapper: a seccomp filter for all threads, and signal handlers that end
//! the process.
#![expect(unsafe_code, reason = "see the module's documentation")]

use std::{
    io::{self, Write},
    process,
};

use flott_core::message::EXIT_EXECUTED_TWICE;
use nix::libc;

/// How long `main` may go on.
const TIME: libc::timeval = libc::timeval { tv_sec: 0, tv_usec: 300_000 };

/// What a process needs to compute. Blocking signals is not among it: a process that is told by a blocked one is killed.
const HARMLESS: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getcwd,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_close,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
];

/// Signals by which a process ends, or which tell that its time is up or that it tried something.
const ENDS: &[libc::c_int] =
    &[libc::SIGSYS, libc::SIGALRM, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];

/// Lets `main` go on, confined. Ends the process where that cannot be.
pub(super) fn begin() {
    let _ = io::stdout().flush();
    if confine().is_err() {
        process::exit(0);
    }
}

/// Ends the process: `execute` was called again.
pub(super) fn called_again() -> ! {
    process::exit(EXIT_EXECUTED_TWICE)
}

extern "C" fn end(_: libc::c_int) {
    // SAFETY: `_exit` is async-signal-safe.
    unsafe { libc::_exit(0) }
}

fn confine() -> io::Result<()> {
    let mut filter = filter();
    let program = libc::sock_fprog { len: filter.len() as libc::c_ushort, filter: filter.as_mut_ptr() };
    let checked = |outcome: i64| if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    // SAFETY: all pointers are to values that live through the call they are given to. The handler makes one call, which
    // is async-signal-safe. Standard output and standard error keep their numbers, so what holds them stays valid.
    unsafe {
        let nowhere = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        checked(nowhere.into())?;
        for stream in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
            checked(libc::dup2(nowhere, stream).into())?;
        }
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = end as extern "C" fn(libc::c_int) as libc::sighandler_t;
        action.sa_flags = libc::SA_ONSTACK;
        for signal in ENDS {
            checked(libc::sigaction(*signal, &action, std::ptr::null_mut()).into())?;
        }
        let zero = libc::timeval { tv_sec: 0, tv_usec: 0 };
        let timer = libc::itimerval { it_interval: zero, it_value: TIME };
        checked(libc::syscall(
            libc::SYS_setitimer,
            libc::ITIMER_REAL,
            &timer,
            std::ptr::null_mut::<libc::itimerval>(),
        ))?;
        checked(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into())?;
        let outcome = libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        );
        // A positive answer names a thread that cannot be confined.
        if outcome == 0 { Ok(()) } else { Err(io::Error::other("not all threads can be confined")) }
    }
}

/// The calls that may be made; others raise SIGSYS.
fn filter() -> Vec<libc::sock_filter> {
    let mut filter = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
    for call in HARMLESS {
        filter.extend([equals(*call as u32, 0, 1), answer(libc::SECCOMP_RET_ALLOW)]);
    }
    let writing = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) as u32;
    only(&mut filter, libc::SYS_openat, 2, writing, &[0]);
    only(&mut filter, libc::SYS_fcntl, 1, u32::MAX, &[libc::F_GETFD as u32, libc::F_GETFL as u32]);
    let nowhere = [libc::STDOUT_FILENO as u32, libc::STDERR_FILENO as u32];
    only(&mut filter, libc::SYS_write, 0, u32::MAX, &nowhere);
    only(&mut filter, libc::SYS_writev, 0, u32::MAX, &nowhere);
    only(&mut filter, libc::SYS_exit_group, 0, u32::MAX, &[0, EXIT_EXECUTED_TWICE as u32]);
    filter.push(answer(libc::SECCOMP_RET_TRAP));
    filter
}

/// Lets `call` be made where its argument of number `argument`, under `mask`, is one of `values`.
fn only(filter: &mut Vec<libc::sock_filter>, call: libc::c_long, argument: u32, mask: u32, values: &[u32]) {
    let mut body = vec![
        // The lower half: `struct seccomp_data` has arguments of 64 bits from its 16th byte on.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 16 + 8 * argument + LOWER_HALF),
        statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, mask),
    ];
    for value in values {
        body.extend([equals(*value, 0, 1), answer(libc::SECCOMP_RET_ALLOW)]);
    }
    body.push(answer(libc::SECCOMP_RET_TRAP));
    filter.push(equals(call as u32, 0, body.len() as u8));
    filter.extend(body);
}

const LOWER_HALF: u32 = if cfg!(target_endian = "big") { 4 } else { 0 };

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// Skips `yes` or `no` statements.
fn equals(k: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter { code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, jt: yes, jf: no, k }
}

fn answer(k: u32) -> libc::sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, k)
}
