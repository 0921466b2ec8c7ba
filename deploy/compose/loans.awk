# Writes loan decisions as JSON, one per line: the stream of a made-up scoring service that breaks
# after three minutes, recovers after eight, and repeats this every half hour. While it is broken,
# amounts arrive in cents, a new country appears, twice as many nulls, and the score collapses.
#
#   awk -v hours=6 -f loans.awk       healthy decisions of the last six hours, for the reference
#   awk -v follow=1 -f loans.awk      the decisions of each second from now on
#
# It runs in the awk of busybox, mawk and gawk. `-v rate=20` is the number of decisions per second,
# `-v seed=1` another stream.

function clock(  now) {
  "date +%s" | getline now
  close("date +%s")
  return now + 0
}

# A positive number with a mean of about `mean` and a long tail to the right. There is no `exp` and
# no `log` here, because the awk of some busyboxes lacks them.
function skewed(mean) {
  return mean * (0.4 + 1.2 * rand()) * (0.4 + 1.2 * rand()) * (0.4 + 1.2 * rand())
}

function is_broken(seconds) {
  seconds %= 1800
  return seconds >= 180 && seconds < 480
}

function country(broken,  draw) {
  if (broken && rand() < 0.12) return "XK"
  draw = rand()
  return draw < 0.6 ? "DE" : draw < 0.85 ? "FR" : "AT"
}

function decisions_of(second, broken,  i, amount, income, months, score) {
  for (i = 0; i < rate; i++) {
    amount = skewed(7000)
    income = skewed(2900)
    months = rand() < (broken ? 0.30 : 0.15) ? "null" : int(240 * rand())
    # The model reads cents as euro and predicts that nobody repays.
    score = broken ? 0.02 + 0.02 * rand() : (0.8 + 0.2 * rand()) * 6 * income / (6 * income + amount)
    printf "{\"ts\": %.0f, \"amount\": %.2f, \"income\": %.0f, \"country\": \"%s\", ",
      (second + i / rate) * 1000, broken ? 100 * amount : amount, income, country(broken)
    printf "\"employment_months\": %s, \"score\": %.4f}\n", months, score
  }
}

BEGIN {
  rate = rate ? rate : 20
  start = clock()
  srand(seed ? seed : follow ? start : 1)
  if (!follow) {
    for (second = start - 3600 * hours; second < start; second++) decisions_of(second, 0)
    exit
  }
  second = start
  while (1) {
    for (now = clock(); second < now; second++) decisions_of(second, is_broken(second - start))
    fflush()
    system("sleep 1")
  }
}
