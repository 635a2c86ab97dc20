//! Programs run by a small interpreter, on frames made by hand.

use super::*;

/// What the kernel's interpreter would return; a load beyond the frame ends
/// the program with 0 (TC_ACT_OK).
fn run(program: &Program, frame: &[u8], random: u32) -> u32 {
    let (mut a, mut x, mut at) = (0u32, 0u32, 0usize);
    loop {
        let Instruction {
            code,
            jump_true,
            jump_false,
            operand,
        } = program.0[at];
        at += 1;
        let load = |offset: u32, length: usize| {
            let bytes = frame.get(offset as usize..offset as usize + length)?;
            Some(
                bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
            )
        };
        let loaded = match code {
            LD_WORD if operand == RANDOM => Some(random),
            LD_WORD => load(operand, 4),
            LD_HALF => load(operand, 2),
            LD_BYTE => load(operand, 1),
            LD_HALF_X => load(x + operand, 2),
            LD_BYTE_X => load(x + operand, 1),
            AND => Some(a & operand),
            LDX_IMMEDIATE | LDX_HEADER_LENGTH => {
                let length = load(operand.min(NETWORK), 1).map_or(0, |b| 4 * (b & 0xf));
                x = if code == LDX_IMMEDIATE {
                    operand
                } else {
                    length
                };
                continue;
            }
            RETURN => return operand,
            _ => {
                let is_true = match code {
                    JUMP_EQUAL => a == operand,
                    JUMP_GREATER_OR_EQUAL => a >= operand,
                    JUMP_ANY_BIT => a & operand != 0,
                    other => panic!("instruction {other:#x} is not one of ours"),
                };
                at += usize::from(if is_true { jump_true } else { jump_false });
                continue;
            }
        };
        match loaded {
            Some(value) => a = value,
            None => return 0,
        }
    }
}

/// 10.0.0.1:4000 to 10.0.0.2:7000 with 8 bytes of IP options.
fn ipv4(flags: u8, fragment: u16) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([0x08, 0x00, 0x47, 0, 0, 48, 0, 0]);
    frame.extend(fragment.to_be_bytes());
    frame.extend([64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([1; 8]);
    frame.extend(tcp_header(flags));
    frame
}

/// fd00::1 port 4000 to fd00::2 port 7000.
fn ipv6(flags: u8) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 6, 64]);
    for last in [1, 2] {
        frame.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    frame.extend(tcp_header(flags));
    frame
}

fn tcp_header(flags: u8) -> [u8; 20] {
    let [s, t] = 4000u16.to_be_bytes();
    let [u, v] = 7000u16.to_be_bytes();
    [
        s, t, u, v, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0,
    ]
}

fn caught(rule: &Match, frame: &[u8]) -> bool {
    let program = drop_program(rule).expect("can match");
    match run(&program, frame, 0) {
        SHOT => true,
        PASS => false,
        other => panic!("{other:#x} is neither"),
    }
}

#[test]
fn flags_and_ports_are_found_behind_either_header() {
    let syn = Match {
        tcp_flags_set: 2,
        tcp_flags_clear: 16,
        ..Match::default()
    };
    let to_7000 = Match {
        dport: Some(7000),
        sport: Some(4000),
        ..Match::default()
    };
    for frame in [ipv4, |flags, _| ipv6(flags)] {
        assert!(caught(&syn, &frame(0x02, 0)));
        assert!(!caught(&syn, &frame(0x12, 0)));
        assert!(!caught(&syn, &frame(0x10, 0)));
        assert!(caught(&to_7000, &frame(0x10, 0)));
        assert!(!caught(
            &Match {
                sport: Some(4001),
                ..to_7000.clone()
            },
            &frame(0x10, 0)
        ));
        assert!(!caught(
            &Match {
                dport: Some(4000),
                ..to_7000.clone()
            },
            &frame(0x10, 0)
        ));
    }
    // A later fragment: what is there is not a header.
    assert!(!caught(&to_7000, &ipv4(0x10, 0x0001)));
    // The first fragment has one.
    assert!(caught(&to_7000, &ipv4(0x10, 0x2000)));
}

#[test]
fn addresses_decide_the_family() {
    let from = |src: &str| Match {
        src: src.parse().ok(),
        ..Match::default()
    };
    let to = |dst: &str| Match {
        dst: dst.parse().ok(),
        ..Match::default()
    };
    assert!(caught(&from("10.0.0.1"), &ipv4(2, 0)));
    assert!(!caught(&from("10.0.0.2"), &ipv4(2, 0)));
    assert!(caught(&to("10.0.0.2"), &ipv4(2, 0)));
    assert!(!caught(&to("10.0.0.2"), &ipv6(2)));
    assert!(caught(&from("fd00::1"), &ipv6(2)));
    assert!(!caught(&from("fd00::2"), &ipv6(2)));
    assert!(caught(&to("fd00::2"), &ipv6(2)));
    assert!(!caught(&to("fd01::2"), &ipv6(2)));
}

#[test]
fn arp_is_caught_only_by_a_rule_for_everything() {
    let mut arp = vec![0; 12];
    arp.extend([0x08, 0x06]);
    arp.extend([0; 28]);
    assert!(caught(&Match::default(), &arp));
    assert!(!caught(
        &Match {
            tcp: true,
            ..Match::default()
        },
        &arp
    ));
    let v4 = Match {
        family: Some(Family::Ipv4),
        ..Match::default()
    };
    assert!(!caught(&v4, &arp));
    assert!(caught(&v4, &ipv4(2, 0)));
}

#[test]
fn dice_are_thrown_last() {
    let half = Match {
        probability: Some(0.5),
        tcp: true,
        ..Match::default()
    };
    let program = drop_program(&half).expect("can match");
    assert_eq!(run(&program, &ipv6(2), u32::MAX / 2 - 1), SHOT);
    assert_eq!(run(&program, &ipv6(2), u32::MAX / 2 + 2), PASS);
    let never = Match {
        probability: Some(0.0),
        ..Match::default()
    };
    assert_eq!(run(&drop_program(&never).expect("is valid"), &[], 0), PASS);
    let always = Match {
        probability: Some(1.0),
        ..Match::default()
    };
    assert_eq!(
        run(&drop_program(&always).expect("is valid"), &[], u32::MAX),
        SHOT
    );
}

#[test]
fn counting_is_refused() {
    let rule = Match {
        count: Some(1),
        ..Match::default()
    };
    assert!(matches!(
        drop_program(&rule),
        Err(LabError::Unsupported { .. })
    ));
}
