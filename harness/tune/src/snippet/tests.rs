use std::time::Duration;

use super::*;

fn settings() -> Settings {
    Settings {
        keepalive: Some(Keepalive {
            idle: 16,
            interval: 1,
            count: 11,
        }),
        user_timeout: Some(Duration::from_millis(27_500)),
        rto_max: None,
    }
}

fn without() -> Without {
    Without {
        keepalive: settings().keepalive,
        thirds: Some(12),
        retries2: None,
    }
}

#[test]
fn units_are_each_programs_own() {
    let written = |target: Target| target.write(&settings(), &without());
    assert!(written(Target::Libpq).contains("keepalives_idle=16 keepalives_interval=1"));
    assert!(written(Target::Libpq).contains("tcp_user_timeout=27500\n"));
    assert!(written(Target::Redis).contains("tcp-keepalive 12\n"));
    assert!(written(Target::Nginx).contains("so_keepalive=16s:1s:11;"));
    assert!(written(Target::Java).contains("TCP_USER_TIMEOUT, 27500"));
    assert!(written(Target::Sysctl).contains("tcp_keepalive_time = 16\n"));
    assert!(written(Target::Sysctl).contains("no tcp_retries2"));
}

#[test]
fn nothing_is_set_that_was_not_found() {
    let only_data = Settings {
        keepalive: None,
        ..settings()
    };
    let none = Without {
        keepalive: None,
        thirds: None,
        retries2: Some(6),
    };
    for target in Target::ALL {
        let written = target.write(&only_data, &none);
        assert!(!written.contains("KEEPIDLE"), "{written}");
        assert!(!written.is_empty());
    }
    let idle_only = Settings {
        user_timeout: None,
        ..settings()
    };
    for target in Target::ALL {
        let written = target.write(&idle_only, &without());
        assert!(
            !written.to_lowercase().contains("user_timeout"),
            "{written}"
        );
    }
}

#[test]
fn a_shorter_rto_is_said_everywhere() {
    let capped = Settings {
        rto_max: Some(Duration::from_secs(2)),
        ..settings()
    };
    for target in Target::ALL {
        let written = target.write(&capped, &without());
        assert!(written.contains("2000"), "{target:?}: {written}");
    }
}
