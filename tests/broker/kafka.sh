#!/bin/sh
# One Apache Kafka node (KRaft) on loopback, from the jars of Maven Central.
#
#   kafka.sh start DIR    starts a node whose files are in DIR and writes its address to DIR/bootstrap;
#                         a DIR that held a node before is the same node again, on the same ports
#   kafka.sh stop DIR     stops it (TERM, then KILL); `kafka.sh kill DIR` does not ask first
#
# Needs java 17 or newer; mvn only when the jars are not in the cache yet.
set -eu

version=4.3.0
cluster=4L6g3nShT-eMCtK--X86sw
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pegel/kafka-$version

say() { echo "kafka.sh: $*" >&2; }

fetch() {
    [ -f "$cache/complete" ] && return
    work=$(mktemp -d)
    cat >"$work/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion><groupId>pegel</groupId><artifactId>test-broker</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
    say "fetching Apache Kafka $version into $cache"
    mkdir -p "$cache"
    (cd "$work" && mvn -q -B dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$cache")
    touch "$cache/complete"
    rm -r "$work"
}

# The kernel's choice of free ports, held together so that they differ.
ports() {
    cat >"$1/Ports.java" <<'JAVA'
public class Ports {
    public static void main(String[] args) throws Exception {
        var local = java.net.InetAddress.getLoopbackAddress();
        try (var a = new java.net.ServerSocket(0, 1, local); var b = new java.net.ServerSocket(0, 1, local)) {
            System.out.println(a.getLocalPort() + " " + b.getLocalPort());
        }
    }
}
JAVA
    java "$1/Ports.java"
}

configure() {
    mkdir -p "$1/log"
    set -- "$1" $(ports "$1")
    cat >"$1/server.properties" <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$3
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3
advertised.listeners=PLAINTEXT://127.0.0.1:$2
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$1/log
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=8388608
log.cleaner.backoff.ms=500
CONF
    java -cp "$cache/*" kafka.tools.StorageTool format -t "$cluster" -c "$1/server.properties" --ignore-formatted >"$1/format.log" 2>&1
    echo "127.0.0.1:$2" >"$1/address"
}

# A zombie that nobody reaps is not alive.
alive() {
    [ -f "$1/pid" ] && kill -0 "$(cat "$1/pid")" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$(cat "$1/pid")/status" 2>/dev/null
}

# The node says so itself once it serves; only lines after this start count.
answers() { tail -n +"$2" "$1/server.log" | grep -q 'Kafka Server started'; }

start() {
    alive "$1" && { say "already runs in $1"; return; }
    fetch
    [ -f "$1/address" ] || configure "$1"
    touch "$1/server.log"
    seen=$(($(wc -l <"$1/server.log") + 1))
    java -Xmx512m -XX:TieredStopAtLevel=1 -cp "$cache/*" kafka.Kafka "$1/server.properties" >>"$1/server.log" 2>&1 </dev/null &
    echo $! >"$1/pid"
    tries=0
    until answers "$1" "$seen"; do
        tries=$((tries + 1))
        alive "$1" && [ $tries -lt 300 ] || { say "no answer; the end of its log:"; tail -n 20 "$1/server.log" >&2; exit 1; }
        sleep 0.2
    done
    cp "$1/address" "$1/bootstrap"
    say "answers at $(cat "$1/bootstrap")"
}

stop() {
    alive "$1" || { rm -f "$1/pid" "$1/bootstrap"; return 0; }
    kill "-$2" "$(cat "$1/pid")"
    tries=0
    while alive "$1"; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || kill -KILL "$(cat "$1/pid")"
        sleep 0.1
    done
    rm -f "$1/pid" "$1/bootstrap"
}

[ $# -eq 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$2"
dir=$(cd "$2" && pwd)
case $1 in
    start) start "$dir" ;;
    stop) stop "$dir" TERM ;;
    kill) stop "$dir" KILL ;;
    *) say "unknown command $1"; exit 2 ;;
esac
