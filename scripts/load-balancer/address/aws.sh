#!/usr/bin/env bash
# How the visitors' address is claimed on AWS: it is an Elastic IP that belongs to no host, and is associated with the
# holder's own floating address.
#
#   aws.sh claim
#
# Looks first, so that EC2 is asked to change something only if it has to.
# shellcheck source=../../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# Signed requests, with the credentials of the instance's role.
# shellcheck source=../../platform/aws.sh
source /opt/cluster/platform.sh

# ec2 PARAMETERS: prints the answer of EC2's API, in XML.
ec2() {
  local answer options
  options=$(signed ec2) || fail "no credentials from the instance metadata service: does the instance have its role?"
  if ! answer=$(
    request <<EOF
$options
url = "${endpoint:-$(address ec2)}/"
header = "Content-Type: application/x-www-form-urlencoded; charset=utf-8"
data = "Version=2016-11-15&$1"
max-time = 5
EOF
  ); then
    answer=$(values Message "$answer")
    fail "EC2: ${1%%&*}: ${answer:-no answer}"
  fi
  printf '%s' "$answer"
}

# values ELEMENT XML: prints the content of every element of this name, one a line.
values() {
  grep --only-matching --perl-regexp "<$1>\K[^<]*(?=</$1>)" <<<"$2" || true
}

claim() {
  local found allocation held interface mac name=$CLUSTER_NAME-load-balancer
  found=$(ec2 "Action=DescribeAddresses&Filter.1.Name=tag%3AName&Filter.1.Value.1=$name&Filter.2.Name=tag%3ACluster&Filter.2.Value.1=$CLUSTER_NAME")
  mapfile -t allocation < <(values allocationId "$found")
  ((${#allocation[@]} == 1)) ||
    fail "${#allocation[@]} Elastic IPs have the tag Name=$name of this cluster; wanted exactly one: a deploy creates it"
  held=$(values privateIpAddress "$found")
  if [[ $held == "$VISITORS_ADDRESS" ]]; then return; fi
  mac=$(from_metadata mac)
  interface=$(from_metadata "network/interfaces/macs/$mac/interface-id")
  ec2 "Action=AssociateAddress&AllocationId=${allocation[0]}&NetworkInterfaceId=$interface&PrivateIpAddress=$VISITORS_ADDRESS&AllowReassociation=true" >/dev/null
  log "the visitors' address is associated with $VISITORS_ADDRESS; before: ${held:-nothing}"
}

[[ ${1:-}:$# == claim:1 ]] || fail "usage: aws.sh claim"
claim
