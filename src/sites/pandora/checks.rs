//! What must hold for whatever a console answers, well-formed or not. The properties beside the decoders ask these, and
//! so do the fuzzer (`fuzz/targets/decoders.rs`) and the replay of what it has found.

use super::alerts::Decoder;
use super::answer::Login;
use super::inventory::is_id;
use super::{events, modules, series};
use crate::domain::{ErrorCode, Status};

/// The first byte says what decodes the rest.
pub(super) fn decoders(data: &[u8]) {
    match data.split_first() {
        Some((b'm', body)) => module(body),
        Some((b's', body)) => points(body),
        Some((b'e', body)) => happened(body),
        Some((b'a', body)) => [1, 7, 64].into_iter().for_each(|at_once| alerts(body, at_once)),
        _ => {}
    }
}

/// A module is the one that was asked for, and its limits are numbers that JSON can write.
pub(super) fn module(body: &[u8]) {
    let Some(Some(module)) = modules::one("7", body) else { return };
    assert_eq!(module.id, "7");
    assert!(module.reported.is_some() || module.status == Status::NotInit, "{module:?}");
    assert!(module.interval.is_none_or(|interval| !interval.is_zero()), "{module:?}");
    for limit in [&module.warning, &module.critical].into_iter().flatten() {
        assert!(limit.min.is_finite() && limit.max.is_none_or(|max| max.is_finite() && max > limit.min), "{limit:?}");
    }
}

/// Points are in order, with no more text than came.
pub(super) fn points(body: &[u8]) {
    let Some(series::Answer::Points(points)) = series::understand(body) else { return };
    assert!(points.windows(2).all(|two| two[0].at <= two[1].at), "{points:?}");
    assert!(points.iter().map(|point| point.value.len()).sum::<usize>() <= body.len(), "{points:?}");
    assert!(points.iter().all(|point| (0..100_000_000_000).contains(&point.at.as_secs())), "{points:?}");
}

/// Events have an instant, their texts an end, and there are no more than the console sent.
pub(super) fn happened(body: &[u8]) {
    let Some(read) = events::understand(body) else { return };
    assert!(read.events.len() as u64 <= read.sent);
    for event in read.events {
        assert!(event.at.as_secs() > 0 && event.text.len() <= events::MAX_TEXT, "{event:?}");
        assert!(event.kind.chars().count() < 64, "{event:?}");
        assert!([&event.agent, &event.module].into_iter().flatten().all(|id| is_id(id)), "{event:?}");
    }
}

/// However a list arrives, the same agents are found, or it is refused for the same reason.
pub(super) fn alerts(body: &[u8], at_once: usize) {
    const MOST: usize = 20;
    let decode = |at_once: usize| {
        let mut decoder = Decoder::new(MOST, "madrid", "application/json", Login::Token);
        for piece in body.chunks(at_once) {
            decoder.feed(piece).map_err(|error| error.code)?;
        }
        let fired = decoder.finish().map_err(|error| error.code)?.fired;
        Ok::<Vec<String>, ErrorCode>(fired.agents().map(str::to_owned).collect())
    };
    let whole = decode(usize::MAX);
    assert_eq!(decode(at_once), whole, "in pieces of {at_once}");
    let Ok(ids) = whole else { return };
    assert!(ids.len() <= MOST && ids.iter().all(|id| is_id(id)), "{ids:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_answer_is_decoded_or_refused() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/decoders.txt");
        let corpus = std::fs::read_to_string(file).unwrap();
        let mut of_each = [0; 4];
        for line in corpus.lines() {
            let input: String = serde_json::from_str(line).unwrap();
            if let Some(of_one) = "msea".find(|first| input.starts_with(first)) {
                of_each[of_one] += 1;
            }
            if let Err(fault) = std::panic::catch_unwind(|| decoders(input.as_bytes())) {
                panic!("{line}: {:?}", fault.downcast_ref::<String>());
            }
        }
        assert!(of_each.iter().all(|inputs| *inputs > 10), "{of_each:?}");
    }
}
