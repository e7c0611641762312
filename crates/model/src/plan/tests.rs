use super::*;

fn waves(texts: &[&str]) -> Vec<Wave> {
    texts.iter().map(|it| it.parse().unwrap()).collect()
}

/// A root of 100 leaves: so many run, so many ended well, so many badly.
fn stands(running: u32, success: u32, fail: u32) -> Totals {
    Totals {
        init: 100 - running - success - fail,
        start: running / 2,
        dispatch: running - running / 2,
        success,
        fail,
        timeout: 0,
    }
}

#[test]
fn without_a_plan_everything_is_handed_out_at_once() {
    let plan = Plan::default();
    assert!(!plan.is_paced());
    assert_eq!(plan.gate(&Totals::new(100)), Gate::Open(100));
    assert_eq!(plan.gate(&Totals::new(0)), Gate::Open(0));
}

#[test]
fn so_many_run_at_once_and_no_more() {
    let plan = Plan {
        concurrency: Some(7),
        ..Plan::default()
    };
    assert_eq!(plan.gate(&stands(0, 0, 0)), Gate::Open(7));
    assert_eq!(plan.gate(&stands(6, 50, 1)), Gate::Open(1));
    let full = Gate::Full { concurrency: 7 };
    assert_eq!(plan.gate(&stands(7, 50, 1)), full);
    assert_eq!(plan.gate(&stands(0, 97, 0)), Gate::Open(3));
}

#[test]
fn a_wave_begins_when_the_one_before_it_has_ended() {
    let plan = Plan {
        waves: waves(&["1", "10%", "100%"]),
        ..Plan::default()
    };
    let closed = |next| Gate::Wave { next, of: 3 };
    for (totals, gate) in [
        (stands(0, 0, 0), Gate::Open(1)),
        (stands(1, 0, 0), closed(2)),
        (stands(0, 1, 0), Gate::Open(9)),
        (stands(4, 1, 0), Gate::Open(5)),
        (stands(9, 1, 0), closed(3)),
        (stands(1, 8, 1), closed(3)),
        (stands(0, 9, 1), Gate::Open(90)),
        (stands(90, 9, 1), Gate::Open(0)),
    ] {
        assert_eq!(plan.gate(&totals), gate, "{totals:?}");
    }
}

#[test]
fn the_last_wave_is_the_rest_and_waves_without_hosts_are_skipped() {
    let plan = |texts| Plan {
        waves: waves(texts),
        ..Plan::default()
    };
    let five = |texts| {
        plan(texts).gate(&Totals {
            success: 1,
            ..Totals::new(4)
        })
    };
    assert_eq!(five(&["1"]), Gate::Open(4));
    assert_eq!(five(&["1", "10%", "100%"]), Gate::Open(4));
    assert_eq!(five(&["1", "900"]), Gate::Open(4));
    let first = plan(&["1%"]).gate(&Totals::new(5));
    assert_eq!(first, Gate::Open(1), "rounded up");
}

#[test]
fn waves_and_concurrency_hold_together() {
    let plan = Plan {
        concurrency: Some(3),
        waves: waves(&["10"]),
        ..Plan::default()
    };
    assert_eq!(plan.gate(&stands(0, 0, 0)), Gate::Open(3));
    assert_eq!(plan.gate(&stands(2, 8, 0)), Gate::Wave { next: 2, of: 2 });
    assert_eq!(plan.gate(&stands(0, 10, 0)), Gate::Open(3));
}

#[test]
fn so_many_failures_stop_it() {
    let plan = Plan {
        stop_after_failures: Some(3),
        ..Plan::default()
    };
    assert_eq!(plan.gate(&stands(5, 50, 2)), Gate::Open(43));
    assert_eq!(plan.gate(&stands(5, 50, 3)), Gate::Stopped);
    let mut totals = stands(5, 50, 2);
    totals.moved(crate::Status::Dispatch, crate::Status::Timeout);
    assert_eq!(plan.gate(&totals), Gate::Stopped);
}

#[test]
fn at_every_step_something_can_go_on() {
    let plan = Plan {
        concurrency: Some(4),
        waves: waves(&["1", "3", "10%", "50%"]),
        ..Plan::default()
    };
    let mut totals = Totals::new(100);
    let mut rounds = 0;
    while totals.unfinished() > 0 {
        if let Gate::Open(room) = plan.gate(&totals) {
            for _ in 0..room {
                totals.moved(crate::Status::Init, crate::Status::Start);
            }
        }
        assert!(totals.start <= 4);
        totals.moved(crate::Status::Start, crate::Status::Success);
        rounds += 1;
    }
    assert_eq!(rounds, 100);
}

#[test]
fn a_leaf_has_its_own_time_but_never_longer_than_the_root() {
    let plan = |leaf_timeout_ms| Plan {
        leaf_timeout_ms,
        ..Plan::default()
    };
    let deadline = |plan: Plan, now| plan.leaf_deadline(UnixMillis(1_000), UnixMillis(now)).0;
    assert_eq!(deadline(plan(None), 0), 1_000);
    assert_eq!(deadline(plan(Some(300)), 0), 300);
    assert_eq!(deadline(plan(Some(300)), 900), 1_000);
    assert!(!plan(Some(300)).is_paced());
}

#[test]
fn a_wave_is_hosts_or_a_share() {
    for good in ["1", "1%", "100%", "1048576"] {
        assert_eq!(good.parse::<Wave>().unwrap().to_string(), good);
    }
    for bad in [
        "", "0", "0%", "101%", "1048577", "+1", "-1", "1.5", "%", "10 %", "all",
    ] {
        let error = bad.parse::<Wave>().unwrap_err();
        assert!(
            error.to_string().contains("from \"1%\" to \"100%\""),
            "{error}"
        );
    }
}

#[test]
fn waves_ascend_and_have_a_number() {
    let most: Vec<Wave> = (1..=20).map(Wave::Hosts).take(limits::WAVES_MAX).collect();
    assert_eq!(check_waves(&most), Ok(()));
    let more: Vec<Wave> = (1..=20)
        .map(Wave::Hosts)
        .take(limits::WAVES_MAX + 1)
        .collect();
    assert_eq!(check_waves(&more), Err(BadPlan::TooManyWaves(17)));
    for bad in [&["10%", "1%"], &["5", "5"], &["100%", "100%"]] {
        let error = check_waves(&waves(bad)).unwrap_err();
        assert!(matches!(error, BadPlan::NotAscending(..)), "{bad:?}");
    }
    assert_eq!(check_waves(&waves(&["500", "10%", "100%"])), Ok(()));
}

#[test]
fn the_stored_form_reads_back() {
    let whole = Plan {
        concurrency: Some(20),
        waves: waves(&["1", "10%", "100%"]),
        stop_after_failures: Some(5),
        leaf_timeout_ms: Some(60_000),
    };
    let text = "concurrency=20 waves=1,10%,100% stop=5 leaf-ms=60000";
    assert_eq!(whole.to_string(), text);
    for plan in [whole, Plan::default()] {
        assert_eq!(plan.to_string().parse(), Ok(plan));
    }
    for bad in ["x", "concurrency", "concurrency=a", "waves=", "speed=9"] {
        assert!(bad.parse::<Plan>().is_err(), "{bad}");
    }
}
