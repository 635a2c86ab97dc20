//! The seccomp filter: which calls stop the program.
//!
//! A pure function to a BPF program (seccomp(2), Documentation/userspace-api/
//! seccomp_filter.rst). Calls that the tracer does not want cost nothing that
//! can be measured: the kernel keeps a bitmap of the numbers that a filter
//! always allows (seccomp_cache_prepare(), from 5.11 on).
//!
//! The architecture comes first: a 32-bit program's numbers mean other calls.
//! Those are let through unseen, except io_uring_setup, whose number is the same
//! everywhere: rings would pass both seccomp and ptrace. The program's own
//! architecture's io_uring_setup stops the program, so that the tracer can say
//! so, and is answered ENOSYS by the tracer.

use libc::sock_filter;

use crate::name::{Bookkeeping, CallName};

/// AUDIT_ARCH_* of linux/audit.h.
#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;

/// x32 numbers have this bit (arch/x86/include/uapi/asm/unistd.h).
const X32_BIT: u32 = 0x4000_0000;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const TRACE: u32 = libc::SECCOMP_RET_TRACE;
const NOT_THERE: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

// Offsets in struct seccomp_data; arguments are 64 bits, of which ints take the
// lower half (little endian).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const fn argument(n: u32) -> u32 {
    16 + 8 * n
}

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_GREATER_OR_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// The filter's instructions.
pub(crate) fn program() -> Vec<sock_filter> {
    let mut program = vec![
        load(ARCHITECTURE),
        jump(IF_EQUAL, ARCH, 4, 0),
        // Another architecture.
        load(NUMBER),
        jump(IF_EQUAL, number(libc::SYS_io_uring_setup), 0, 1),
        ret(NOT_THERE),
        ret(ALLOW),
        load(NUMBER),
        jump(IF_EQUAL, number(libc::SYS_io_uring_setup) | X32_BIT, 0, 1),
        ret(NOT_THERE),
        jump(IF_GREATER_OR_EQUAL, X32_BIT, 0, 1),
        ret(ALLOW),
    ];
    // The most frequent calls are not sorted first: the filter runs only for
    // calls that may stop, and a stop costs ten thousand times a comparison.
    let reported = CallName::NUMBERS.iter().map(|(_, number)| *number);
    let others = Bookkeeping::NUMBERS.iter().map(|(_, number)| *number);
    for call in reported.chain(others) {
        program.extend(rule(call));
    }
    program.push(ret(ALLOW));
    program
}

/// Stops `call`; of calls with many purposes, only those of interest.
fn rule(call: libc::c_long) -> Vec<sock_filter> {
    let wanted: (u32, &[i32]) = match call {
        libc::SYS_socket => (argument(0), &[libc::AF_INET, libc::AF_INET6]),
        libc::SYS_getsockopt => (argument(2), &[libc::SO_ERROR]),
        libc::SYS_fcntl => (
            argument(1),
            &[libc::F_DUPFD, libc::F_DUPFD_CLOEXEC, libc::F_SETFD],
        ),
        _ => {
            return vec![jump(IF_EQUAL, number(call), 0, 1), ret(TRACE)];
        }
    };
    let (offset, values) = wanted;
    let tests = 2 * values.len();
    let length = u8::try_from(tests + 2).expect("three values at most");
    let mut rule = vec![jump(IF_EQUAL, number(call), 0, length), load(offset)];
    for value in values {
        rule.extend([jump(IF_EQUAL, value.cast_unsigned(), 0, 1), ret(TRACE)]);
    }
    // This is none of the other calls, either.
    rule.push(ret(ALLOW));
    rule
}

fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).expect("call numbers are small")
}

fn load(offset: u32) -> sock_filter {
    instruction(LOAD, offset, 0, 0)
}

fn jump(code: u16, value: u32, if_true: u8, if_false: u8) -> sock_filter {
    instruction(code, value, if_true, if_false)
}

fn ret(action: u32) -> sock_filter {
    instruction(RETURN, action, 0, 0)
}

fn instruction(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter as the kernel does, for the four instructions it uses.
    fn run(arch: u32, call: libc::c_long, args: [i32; 3]) -> u32 {
        let program = program();
        let mut at = 0;
        let mut accumulator = 0;
        loop {
            let step = program[at];
            at += 1;
            match step.code {
                LOAD => {
                    accumulator = match step.k {
                        NUMBER => call as u32,
                        ARCHITECTURE => arch,
                        offset => args[(offset as usize - 16) / 8].cast_unsigned(),
                    }
                }
                IF_EQUAL if accumulator == step.k => at += usize::from(step.jt),
                IF_GREATER_OR_EQUAL if accumulator >= step.k => at += usize::from(step.jt),
                IF_EQUAL | IF_GREATER_OR_EQUAL => at += usize::from(step.jf),
                _ => return step.k,
            }
        }
    }

    #[test]
    fn every_call_of_the_lists_stops_and_others_do_not() {
        for &(name, call) in CallName::NUMBERS {
            let args = match name {
                CallName::Socket => [libc::AF_INET6, 0, 0],
                _ => [3, libc::SOL_SOCKET, libc::SO_ERROR],
            };
            assert_eq!(run(ARCH, call, args), TRACE, "{name}");
        }
        for &(call, number) in Bookkeeping::NUMBERS {
            assert_eq!(run(ARCH, number, [3, libc::F_DUPFD, 0]), TRACE, "{call:?}");
        }
        for call in [libc::SYS_openat, libc::SYS_futex, libc::SYS_execve] {
            assert_eq!(run(ARCH, call, [0; 3]), ALLOW);
        }
    }

    #[test]
    fn calls_with_many_purposes_stop_only_for_those_of_interest() {
        let unix = [libc::AF_UNIX, 0, 0];
        assert_eq!(run(ARCH, libc::SYS_socket, unix), ALLOW);
        assert_eq!(run(ARCH, libc::SYS_fcntl, [3, libc::F_GETFL, 0]), ALLOW);
        let buffer = [3, libc::SOL_SOCKET, libc::SO_RCVBUF];
        assert_eq!(run(ARCH, libc::SYS_getsockopt, buffer), ALLOW);
    }

    #[test]
    fn other_architectures_pass_without_rings() {
        let i386 = 0x4000_0003;
        assert_eq!(run(i386, libc::SYS_read, [0; 3]), ALLOW);
        assert_eq!(run(i386, libc::SYS_io_uring_setup, [0; 3]), NOT_THERE);
        let x32 = |call| call | libc::c_long::from(X32_BIT);
        assert_eq!(run(ARCH, x32(libc::SYS_read), [0; 3]), ALLOW);
        assert_eq!(run(ARCH, x32(libc::SYS_io_uring_setup), [0; 3]), NOT_THERE);
    }
}
