#!/bin/bash
# Answers one HTTP request on its standard input and output, from files alone. It starts no other
# program, takes no value from the request but one of the paths below, and closes.
# An answer older than this is no answer: the observer, or the server it asks, hangs.
LONGEST_AGE=3
RUN=/run/cluster/database
LC_ALL=C

answer() {
  local status=$1 type=$2 body=$3 header=${4:-}
  local reason=OK
  case $status in
    404) reason="Not Found" ;;
    405) reason="Method Not Allowed" ;;
    503) reason="Service Unavailable" ;;
  esac
  # Who asked may be gone.
  exec 2>/dev/null
  printf 'HTTP/1.1 %s %s\r\nContent-Type: %s\r\nContent-Length: %s\r\n%sCache-Control: no-store\r\nConnection: close\r\n\r\n' \
    "$status" "$reason" "$type" "${#body}" "$header"
  if [[ $method != HEAD ]]; then printf '%s' "$body"; fi
  exit 0
}

method="" path=""
IFS=' ' read -r -t 2 -n 1024 method path _ || exit 0
# The rest of the head is read and forgotten: a socket closed with unread data would be reset.
for ((line = 0; line < 64; line++)); do
  IFS= read -r -t 2 -n 4096 header || break
  ((SECONDS < 3)) || exit 0
  if [[ $header == $'\r' || -z $header ]]; then break; fi
done

case $method in
  GET | HEAD | OPTIONS) ;;
  *) answer 405 text/plain $'method not allowed\n' $'Allow: GET, HEAD, OPTIONS\r\n' ;;
esac

at=0 primary=503 replica=503 readable=503 state='{"state":"unknown"}'
if [[ -r $RUN/answers ]]; then
  {
    read -r at primary replica readable
    read -r state
  } <"$RUN/answers"
fi
age=$((EPOCHSECONDS - at))
if ((age > LONGEST_AGE || age < -1)); then
  primary=503 replica=503 readable=503 state='{"state":"unknown"}'
fi

case ${path%%\?*} in
  /primary) answer "$primary" application/json "$state"$'\n' ;;
  /replica) answer "$replica" application/json "$state"$'\n' ;;
  /readable) answer "$readable" application/json "$state"$'\n' ;;
  /state)
    if [[ $state == '{"state":"unknown"}' ]]; then
      answer 503 application/json "$state"$'\n'
    fi
    answer 200 application/json "$state"$'\n'
    ;;
  /certificate-authority)
    if [[ -r $RUN/certificate-authority.pem && -r $RUN/certificate-authority.authentication ]]; then
      answer 200 application/x-pem-file "$(<"$RUN/certificate-authority.pem")"$'\n' \
        "X-Authentication: $(<"$RUN/certificate-authority.authentication")"$'\r\n'
    fi
    answer 503 text/plain $'not yet\n'
    ;;
  *) answer 404 text/plain $'not found\n' ;;
esac
