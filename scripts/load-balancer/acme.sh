# shellcheck shell=bash
# Certificates of an authority that speaks ACME (RFC 8555), by dehydrated. The authority checks that the host names lead here
# by HTTP: it asks for a path with a token of its own, and expects the token and the thumbprint of the account's key
# (section 8.3). HAProxy answers that by itself.
#
# Sourced after lib.sh, certificates.sh, servers.sh and visitors.sh.

# The account's key, and what dehydrated keeps of the account beside it.
ACME_KEY=/run/cluster/secrets/acme-account.key
# How long an attempt may take, seconds: dehydrated waits for the authority's check without a limit of its own.
ACME_PATIENCE=300

# wanted_source: prints the directory, and the profile if there is one, that certificates are to be from.
wanted_source() {
  (
    # shellcheck source=/dev/null
    source "$ACME_CONFIGURATION/config"
    printf '%s %s' "$CA" "$ACME_PROFILE"
  )
}

# source_of FILE: prints what its certificate is from, once it was obtained.
source_of() { cat "$1.source" 2>/dev/null || true; }

# make_account_key SEED KEY: a key on the curve P-256, in the format of RFC 5915. Every load balancer has the same one.
# OpenSSL derives the public part.
make_account_key() { make_derived_key "$1" "$2" 30310201010420 a00a06082a8648ce3d030107; }

base64url() { openssl base64 -A | tr '+/' '-_' | tr --delete '='; }

# thumbprint KEY: prints that of the key (RFC 7638). The public part ends with both coordinates, 32 bytes each.
thumbprint() {
  local x y
  x=$(openssl pkey -in "$1" -pubout -outform DER | tail --bytes=64 | head --bytes=32 | base64url)
  y=$(openssl pkey -in "$1" -pubout -outform DER | tail --bytes=32 | base64url)
  printf '{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' "$x" "$y" | openssl dgst -sha256 -binary | base64url
}

# forget_account: what dehydrated keeps of it beside the key. The authority tells it again.
forget_account() { rm --force "$ACME_KEY".json "$ACME_KEY"_id.json; }

# prepare_account: the account's key, and its thumbprint for HAProxy, which answers the authority.
prepare_account() {
  local seed source
  if [[ ! -s $ACME_KEY ]]; then
    seed=$(secret "$ACME_ACCOUNT_SEED")
    make_account_key "$seed" "$ACME_KEY"
    forget_account
  fi
  source=$(wanted_source)
  # Another directory knows nothing of the account.
  if [[ $(cat "$ACME_KEY.source" 2>/dev/null) != "$source" ]]; then
    forget_account
    printf '%s' "$source" >"$ACME_KEY.source"
  fi
  tell_haproxy thumbprint "$(thumbprint "$ACME_KEY")"
}

# dehydrated_says COMMAND ARGUMENT...: runs dehydrated; the certificate is on its standard output.
dehydrated_says() {
  timeout --kill-after=5 "$ACME_PATIENCE" dehydrated --config "$ACME_CONFIGURATION/config" --no-lock \
    --privkey "$ACME_KEY" "$@" 7>&-
}

# reason_in FILE: prints why an attempt failed, from what it printed: the authority's own words if there are any, otherwise
# dehydrated's last error, otherwise its last line.
reason_in() {
  local reason
  reason=$(sed --quiet --regexp-extended 's/.*"detail": *"([^"]*)".*/\1/p' "$1" | tail --lines=1)
  if [[ -z $reason ]]; then reason=$(sed --quiet 's/^ *+* *ERROR: //p' "$1" | tail --lines=1); fi
  if [[ -z $reason ]]; then reason=$(grep --invert-match --regexp='^[[:space:]]*$' "$1" | tail --lines=1 | sed 's/^ *+* *//' || true); fi
  printf '%s' "${reason:-dehydrated took longer than $ACME_PATIENCE s}"
}

# request_certificate FILE: sends the request in the file, and prints the certificate with its chain. What went wrong is on
# standard error.
request_certificate() {
  # The account is created, or told if it is there: both are the same request (section 7.3.1).
  [[ -s $ACME_KEY.json ]] || dehydrated_says --register --accept-terms >&2 || return
  dehydrated_says --signcsr "$1" | sed --quiet '/^-----BEGIN CERTIFICATE/,/^-----END CERTIFICATE/p'
}

# obtain FILE: a new key and the authority's certificate for it, with its chain, in one file. Notes why it fails, and leaves
# the file as it is.
obtain() {
  local said=$ACME_DIRECTORY/said request=$ACME_DIRECTORY/request.pem issued=$ACME_DIRECTORY/issued.pem
  mkdir --parents "$ACME_DIRECTORY/challenges"
  make_key "$1.new"
  openssl req -new -key "$1.new" -config <(printf '[req]\ndistinguished_name = name\n[name]\n') -subj / \
    -addext "subjectAltName=${TLS_NAMES// /,}" -out "$request"
  if ! request_certificate "$request" >"$issued" 2>"$said"; then
    # The authority may have forgotten an account that it had.
    if ! grep --quiet accountDoesNotExist "$said" || ! { forget_account && request_certificate "$request" >"$issued" 2>"$said"; }; then
      note_failure "$(reason_in "$said")"
      rm --force "$1.new"
      return 1
    fi
  fi
  cat "$issued" >>"$1.new"
  if ! { is_usable "$1.new" && has_names "$1.new"; }; then
    note_failure "the authority issued something else: $(describe "$1.new")"
    rm --force "$1.new"
    return 1
  fi
  mv "$1.new" "$1"
  wanted_source >"$1.source"
  log "got a certificate: $(describe "$1")"
}
