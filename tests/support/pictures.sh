#!/usr/bin/env bash
# Makes the pictures of the documents: docs/images/page.png shows the page of `pegel demo` while
# alerts fire.
#
#   tests/support/pictures.sh [PEGEL]     PEGEL = the binary, target/release/pegel by default
#
# The architecture is drawn by hand in docs/images/architecture.svg; this script only checks that it
# is well-formed. Needs curl and chromium, which is installed with apt-get when it is missing. The
# page is fetched once, at a fixed time after the first alert, and rendered from the file: how fast
# the browser starts does not change what the picture shows.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
pegel=${1:-$root/target/release/pegel}
images=$root/docs/images
speed=10
limit=300000 # bytes of a picture

log() { echo "pictures.sh: $*" >&2; }
fail() { log "$*"; exit 1; }

[ -x "$pegel" ] || fail "$pegel is missing: run cargo build --release, or give its path"
if ! command -v chromium >/dev/null; then
    log "installing Debian's chromium"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
fi

work=$(mktemp -d)
demo=
finish() {
    [ -z "$demo" ] || kill "$demo" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

browser() { # ARGUMENTS: chromium with an empty profile and without requests in the background
    chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --user-data-dir="$work/profile" "$@" >"$work/chromium.log" 2>&1
}

# The page: the demo breaks its stream after a minute of its own clock and repairs it after 150 s.
# The first alert fires some 10 s after the break; 50 s later the whole window is broken.
"$pegel" demo --speed "$speed" --for 5m --listen 127.0.0.1:0 >"$work/demo.log" 2>&1 &
demo=$!
address=
for _ in $(seq 100); do
    address=$(sed -n 's|.* \(http://[^ /]*\)/metrics.*|\1|p' "$work/demo.log")
    [ -n "$address" ] && break
    sleep 0.1
done
[ -n "$address" ] || fail "the demo did not start: $(cat "$work/demo.log")"
log "waiting for an alert at $address"
fires=
for _ in $(seq 300); do
    if curl -s "$address/metrics" | grep -q '^pegel_alert_active{.*} 1$'; then
        fires=1
        break
    fi
    sleep 0.1
done
[ -n "$fires" ] || fail "no alert fired: $(cat "$work/demo.log")"
sleep $((50 / speed))
curl -s "$address/" -o "$work/page.html"
grep -q 'class="firing"' "$work/page.html" || fail "the page shows no firing alert"

browser --window-size=1240,760 --hide-scrollbars --force-device-scale-factor=1.5 \
    --screenshot="$work/page.png" "file://$work/page.html" || fail "$(cat "$work/chromium.log")"

# The architecture: a browser reports a document that is not well-formed in its text.
browser --dump-dom "file://$images/architecture.svg" || fail "$(cat "$work/chromium.log")"
! grep -q 'parsererror' "$work/chromium.log" || fail "architecture.svg is not well-formed"

mkdir -p "$images"
cp "$work/page.png" "$images/page.png"
for picture in "$images"/*.png "$images"/*.svg; do
    size=$(stat -c %s "$picture")
    [ "$size" -le "$limit" ] || fail "$picture has $size bytes, more than $limit"
    log "$picture, $size bytes"
done
