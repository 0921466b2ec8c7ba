#!/bin/sh
# Writes the stream of loans.awk to Kafka, with the tools of the Kafka image.
#
#   producer.sh training    creates the topics, and fills loans.training with six healthy hours
#   producer.sh stream      writes to loans.scored until it is stopped
#
# KAFKA is the address of the broker. A second `training` finds the records and adds none.
set -eu

kafka=${KAFKA:-kafka:9092}
loans=$(dirname "$0")/loans.awk
PATH=$PATH:/opt/kafka/bin

produce() {
    kafka-console-producer.sh --bootstrap-server "$kafka" --topic "$1"
}

case ${1:-} in
    training)
        for topic in loans.training loans.scored; do
            kafka-topics.sh --bootstrap-server "$kafka" --create --if-not-exists \
                --topic "$topic" --partitions 2
        done
        if kafka-get-offsets.sh --bootstrap-server "$kafka" --topic loans.training |
            grep -q ':[1-9][0-9]*$'; then
            echo "loans.training has records already"
            exit
        fi
        awk -v hours=6 -f "$loans" | produce loans.training
        ;;
    stream)
        awk -v follow=1 -f "$loans" | produce loans.scored
        ;;
    *)
        sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
