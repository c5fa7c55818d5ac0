//! What people ask of a roll-out, worked: promote, pause, abort, retry.

use super::{RECIPE, Story, check};

#[test]
fn a_promotion_does_not_wait_and_is_not_taken_back() {
    let steps = "strategy: steps; steps: 5,25,50,100";
    let story = Story::new(RECIPE, "0 update v2", steps);
    check(
        &story
            .annotate(20, &format!("{steps}; promote: v2@3"))
            .annotate(30, steps)
            .annotate(40, &format!("{steps}; promote: v2@2"))
            .annotate(50, &format!("{steps}; promote: v1@full"))
            .annotate(60, &format!("{steps}; promote: v2@full"))
            .annotate(70, steps),
        "19 v1 95 v2 5 Paused
         20 v1 50 v2 50 Paused
         30 v1 50 v2 50 Paused
         40 v1 50 v2 50 Paused
         50 v1 50 v2 50 Paused
         60 v1 0 v2 100 Draining
         70 v1 0 v2 100 Draining",
    );
}

#[test]
fn a_pause_by_hand_stands_as_long_as_it_is_written() {
    let linear = "strategy: linear; ramp: 100s";
    let story = Story::new(RECIPE, "0 update v2", linear);
    check(
        &story
            .annotate(20, &format!("{linear}; pause: v2"))
            .annotate(50, linear),
        "19 v1 95 v2 5 Progressing
         20 v1 90 v2 10 Paused
         49 v1 90 v2 10 Paused
         50 v1 90 v2 10 Progressing
         60 v1 80 v2 20 Progressing",
    );
}

#[test]
fn an_abort_by_hand_shifts_back_and_the_next_try_begins_anew() {
    for (linear, follows) in [("strategy: linear; ramp: 100s", false), ("", true)] {
        let story = Story::new(RECIPE, "0 update v2", linear);
        let story = story
            .annotate(50, &format!("{linear}; abort: v2"))
            .annotate(70, linear);
        check(
            &story,
            match follows {
                false => {
                    "49 v1 65 v2 35 Progressing
                     50 v1 100 v2 0 Aborted
                     69 v1 100 v2 0 Aborted
                     70 v1 100 v2 0 Progressing
                     80 v1 90 v2 10 Progressing"
                }
                true => {
                    "49 v1 50 v2 50 Progressing
                     50 v1 100 v2 0 Aborted
                     70 v1 50 v2 50 Progressing"
                }
            },
        );
    }
}

#[test]
fn a_retry_is_heard_once_for_each_number() {
    let linear = "strategy: linear; ramp: 100s";
    // One crash of every pod at second 15, and pods that stay ready after that.
    let story = Story::new(
        "deployment 10 surge=100% unavailable=0 ready=10 minready=300",
        "0 update v2; 0 crash v2 5; 51 crash v2 100000",
        linear,
    );
    let retry = format!("{linear}; retry: v2@1");
    check(
        &story
            .annotate(70, &retry)
            .annotate(90, linear)
            .annotate(100, &retry),
        "15 v1 100 Aborted
         69 v1 100 v2 0 Aborted
         70 v1 100 v2 0 Progressing
         80 v1 90 v2 10 Progressing
         90 v1 80 v2 20 Progressing
         100 v1 70 v2 30 Progressing",
    );
}
