#!/bin/sh
# Runs one Apache Kafka node (KRaft) on loopback, from the jars of Maven Central.
#
#   kafka.sh start DIR       starts a node with its files in DIR and writes its address to
#                            DIR/bootstrap; a used DIR is the same node again, on the same ports
#   kafka.sh start-acls DIR  the same with an authorizer that allows nothing to User:ANONYMOUS; the
#                            administrator's listener is in DIR/admin (SASL/PLAIN, admin and admin)
#   kafka.sh acl DIR CHANGE...  changes ACLs of User:ANONYMOUS, such as +allow:read:topic:t and
#                            -deny:read:group:g
#   kafka.sh stop DIR        stops the node with SIGTERM, after ten seconds with SIGKILL
#   kafka.sh kill DIR        stops the node with SIGKILL
#   kafka.sh run COMMAND...  runs COMMAND with PEGEL_TEST_KAFKA set to a temporary node, or to the
#                            node that the variable already names
#
# Needs Java 17 or newer, and Maven when the jars are not in the cache yet.
set -eu

version=4.3.0
cluster=4L6g3nShT-eMCtK--X86sw
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pegel/kafka-$version

log() { echo "kafka.sh: $*" >&2; }

fetch() {
    [ -f "$cache/complete" ] && return
    work=$(mktemp -d)
    cat >"$work/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>pegel</groupId>
  <artifactId>test-broker</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$version</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
POM
    log "fetching Apache Kafka $version into $cache"
    mkdir -p "$cache"
    (cd "$work" && mvn -q -B dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$cache")
    touch "$cache/complete"
    rm -r "$work"
}

# Prints three free ports. All sockets are open at the same time, so the ports differ.
ports() {
    cat >"$1/Ports.java" <<'JAVA'
public class Ports {
    public static void main(String[] args) throws Exception {
        var local = java.net.InetAddress.getLoopbackAddress();
        try (var broker = new java.net.ServerSocket(0, 1, local);
                var controller = new java.net.ServerSocket(0, 1, local);
                var admin = new java.net.ServerSocket(0, 1, local)) {
            System.out.println(broker.getLocalPort() + " " + controller.getLocalPort() + " "
                    + admin.getLocalPort());
        }
    }
}
JAVA
    java "$1/Ports.java"
}

configure() {
    mkdir -p "$1/log"
    with_acls=${2:-}
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
    [ -z "$with_acls" ] || {
        login='org.apache.kafka.common.security.plain.PlainLoginModule required'
        login="$login username=\"admin\" password=\"admin\" user_admin=\"admin\";"
        cat >>"$1/server.properties" <<CONF
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3,ADMIN://127.0.0.1:$4
advertised.listeners=PLAINTEXT://127.0.0.1:$2,ADMIN://127.0.0.1:$4
listener.security.protocol.map=CONTROLLER:SASL_PLAINTEXT,PLAINTEXT:PLAINTEXT,ADMIN:SASL_PLAINTEXT
inter.broker.listener.name=ADMIN
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.controller.protocol=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.controller.plain.sasl.jaas.config=$login
listener.name.admin.plain.sasl.jaas.config=$login
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin
CONF
        echo "127.0.0.1:$4" >"$1/admin"
    }
    java -cp "$cache/*" kafka.tools.StorageTool format -t "$cluster" -c "$1/server.properties" \
        --ignore-formatted >"$1/format.log" 2>&1
    echo "127.0.0.1:$2" >"$1/address"
}

# A zombie process still has a pid, but it no longer runs.
alive() {
    [ -f "$1/pid" ] && kill -0 "$(cat "$1/pid")" 2>/dev/null &&
        ! grep -q '^State:.Z' "/proc/$(cat "$1/pid")/status" 2>/dev/null
}

# The node logs this line once it serves. Lines before line $2 belong to an earlier start.
is_ready() { tail -n +"$2" "$1/server.log" | grep -q 'Kafka Server started'; }

start() {
    alive "$1" && { log "a node already runs in $1"; return; }
    fetch
    [ -f "$1/address" ] || configure "$1" "${2:-}"
    touch "$1/server.log"
    first_line=$(($(wc -l <"$1/server.log") + 1))
    java -Xmx512m -XX:TieredStopAtLevel=1 -cp "$cache/*" kafka.Kafka "$1/server.properties" \
        >>"$1/server.log" 2>&1 </dev/null &
    echo $! >"$1/pid"
    tries=0
    until is_ready "$1" "$first_line"; do
        tries=$((tries + 1))
        alive "$1" && [ $tries -lt 300 ] || {
            log "the node did not start; the end of $1/server.log:"
            tail -n 20 "$1/server.log" >&2
            exit 1
        }
        sleep 0.2
    done
    cp "$1/address" "$1/bootstrap"
    log "listening on $(cat "$1/bootstrap")"
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

# Changes ACLs through the administrator's listener; all are in force when it returns.
acl() {
    dir=$1
    shift
    cat >"$dir/Acls.java" <<'JAVA'
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.resource.*;

public class Acls {
    public static void main(String[] args) throws Exception {
        var login = "org.apache.kafka.common.security.plain.PlainLoginModule required "
                + "username=\"admin\" password=\"admin\";";
        Map<String, Object> config = Map.of("bootstrap.servers", args[0],
                "security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", "PLAIN",
                "sasl.jaas.config", login);
        try (var admin = Admin.create(config)) {
            for (int i = 1; i < args.length; i++) {
                var parts = args[i].substring(1).toUpperCase(Locale.ROOT).split(":");
                var name = args[i].substring(args[i].lastIndexOf(':') + 1);
                var resource = new ResourcePattern(ResourceType.valueOf(parts[2]), name,
                        PatternType.LITERAL);
                var entry = new AccessControlEntry("User:ANONYMOUS", "*",
                        AclOperation.valueOf(parts[1]), AclPermissionType.valueOf(parts[0]));
                var acl = new AclBinding(resource, entry);
                if (args[i].charAt(0) == '+') {
                    admin.createAcls(List.of(acl)).all().get();
                } else {
                    admin.deleteAcls(List.of(acl.toFilter())).all().get();
                }
            }
        }
    }
}
JAVA
    java -XX:TieredStopAtLevel=1 -cp "$cache/*" "$dir/Acls.java" "$(cat "$dir/admin")" "$@" \
        >>"$dir/acls.log" 2>&1
}

run() {
    if [ -n "${PEGEL_TEST_KAFKA:-}" ]; then
        "$@"
        return
    fi
    dir=$(mktemp -d)
    trap 'stop "$dir" TERM; rm -rf "$dir"' EXIT
    trap 'exit 130' INT TERM
    start "$dir"
    PEGEL_TEST_KAFKA=$(cat "$dir/bootstrap") "$@"
}

[ $# -ge 2 ] || { sed -n '2,17s/^# \{0,1\}//p' "$0" >&2; exit 2; }
action=$1
shift
[ "$action" != run ] || { run "$@"; exit; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
shift
case $action in
    start) start "$dir" ;;
    start-acls) start "$dir" acls ;;
    acl) acl "$dir" "$@" ;;
    stop) stop "$dir" TERM ;;
    kill) stop "$dir" KILL ;;
    *) log "unknown command $action, expected start, start-acls, acl, stop, kill or run"; exit 2 ;;
esac
