//! Names and classes of librdkafka's error codes.
//!
//! Codes are passed as integers where they come from a broker: a newer broker may send one that the
//! enum of the binding does not contain. The names become values of the label `code`.

#![expect(unsafe_code, reason = "rdkafka has no safe access to the names")]

use std::ffi::CStr;

use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode;

/// librdkafka's name of an error code in lower case, such as `_transport` or
/// `unknown_topic_or_part`; `code_N` for a code that it does not know.
pub(super) fn code_name(code: i32) -> String {
    let mut first = std::ptr::null();
    let mut count = 0;
    // SAFETY: the call stores the address and the length of a static table.
    unsafe { rd::rd_kafka_get_err_descs(&raw mut first, &raw mut count) };
    (0..count)
        .find_map(|index| {
            // SAFETY: the index is within the static table. Codes are read as integers; names are
            // static C strings, or null in the gaps.
            unsafe {
                let entry = first.add(index);
                let entry_code = (&raw const (*entry).code).cast::<i32>().read();
                let name = (*entry).name;
                (entry_code == code && !name.is_null()).then(|| CStr::from_ptr(name))
            }
        })
        .map_or_else(
            || format!("code_{code}"),
            |name| name.to_string_lossy().to_ascii_lowercase(),
        )
}

/// The name of an error code as words for a message: `_all_brokers_down` gives `all brokers down`.
pub(super) fn error_words(code: i32) -> String {
    code_name(code).trim_start_matches('_').replace('_', " ")
}

/// The errors that mean that no broker answered the request.
const UNANSWERED: [RDKafkaErrorCode; 6] = [
    RDKafkaErrorCode::BrokerTransportFailure,
    RDKafkaErrorCode::AllBrokersDown,
    RDKafkaErrorCode::OperationTimedOut,
    RDKafkaErrorCode::TimedOutQueue,
    RDKafkaErrorCode::Resolve,
    RDKafkaErrorCode::WaitingForCoordinator,
];

/// True if the error means that no broker answered the request.
pub(super) fn is_unanswered(code: i32) -> bool {
    UNANSWERED
        .into_iter()
        .any(|unanswered| unanswered as i32 == code)
}

/// True if librdkafka stops reading a partition after this error.
pub(super) fn stops_reading(code: i32) -> bool {
    [
        RDKafkaErrorCode::AutoOffsetReset,
        RDKafkaErrorCode::OffsetOutOfRange,
        RDKafkaErrorCode::LogTruncation,
    ]
    .into_iter()
    .any(|stopping| stopping as i32 == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_librdkafka() {
        let check = |code: i32, expected: &str| {
            assert_eq!(code_name(code), expected, "name of {code}");
        };
        check(-195, "_transport");
        check(3, "unknown_topic_or_part");
        check(29, "topic_authorization_failed");
        check(12_345, "code_12345");
    }
}
