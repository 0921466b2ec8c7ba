//! The configuration that all clients share.

use std::collections::BTreeMap;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

/// The Kafka principal of a client without a login, for messages about ACLs; no client has one.
pub const PRINCIPAL: &str = "User:ANONYMOUS";

/// Properties of every client.
const SHARED: [(&str, &str); 4] = [
    ("client.id", "pegel"),
    ("socket.keepalive.enable", "true"),
    ("log.connection.close", "false"),
    ("allow.auto.create.topics", "false"),
];

/// Builds the configuration of a client.
///
/// Later properties override earlier ones: those of every client, `properties` for this use, the
/// brokers, and the user's. The log level is explicit, because the default depends on a logger of
/// the `log` crate, which pegel does not install.
#[must_use]
pub fn client_config<'a>(
    brokers: &[String],
    log_level: RDKafkaLogLevel,
    properties: impl IntoIterator<Item = (&'a str, &'a str)>,
    user_properties: &BTreeMap<String, String>,
) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set_log_level(log_level);
    for (property, value) in SHARED.into_iter().chain(properties) {
        config.set(property, value);
    }
    config.set("bootstrap.servers", brokers.join(","));
    for (property, value) in user_properties {
        config.set(property, value);
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_properties_of_the_user_override_those_of_the_use_and_those_of_every_client() {
        let brokers = ["a:9092".to_owned(), "b:9092".to_owned()];
        let properties = [("client.id", "use"), ("linger.ms", "5"), ("acks", "all")];
        let user_properties = BTreeMap::from([("linger.ms".to_owned(), "20".to_owned())]);
        let config = client_config(
            &brokers,
            RDKafkaLogLevel::Warning,
            properties,
            &user_properties,
        );
        let assert_value = |property: &str, expected: &str| {
            assert_eq!(config.get(property), Some(expected), "{property}");
        };
        assert_value("client.id", "use");
        assert_value("linger.ms", "20");
        assert_value("acks", "all");
        assert_value("bootstrap.servers", "a:9092,b:9092");
        assert_value("log.connection.close", "false");
    }
}
