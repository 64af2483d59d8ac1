# shellcheck shell=bash
# shellcheck disable=SC2154 # own_* come from gather.sh
# Tables that are not InnoDB's: made before the server refused them, or brought along by a backup of that time.
# A clone has them empty, so the rows may be on one host alone, and go with its part as the primary.

# The data dictionary holds the engine: no table is opened for it.
OTHER_TABLES_QUERY="SELECT CONCAT(table_schema, '.', table_name, ' (', engine, ')')
  FROM information_schema.tables
  WHERE table_type = 'BASE TABLE' AND engine <> 'InnoDB'
    AND table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
  ORDER BY table_schema, table_name LIMIT 100;"

# look_for_other_tables: sets other_tables to them, `schema.table (engine)`, 100 at most. Asked once: while they
# are looked at, none can come. Fails where the server does not answer.
other_tables=()
other_tables_known=no
look_for_other_tables() {
  if [[ $other_tables_known == yes ]]; then return; fi
  ask 5 "$OTHER_TABLES_QUERY" || return
  other_tables=("${ROWS[@]}")
  other_tables_known=yes
}

# name_tables TABLE...: the first of them, in a sentence.
name_tables() {
  local named
  printf -v named '%s, ' "${@:1:5}"
  printf '%s' "${named%, }"
  if (($# > 5)); then printf ' and %s more' "$(($# - 5))"; fi
}

# table_objections: what they say against making this host the primary, after look_for_other_tables; in the form
# of promotion.sh, overridden by
#   tables   somebody's word that rows may go which only the last primary has
table_objections() {
  if [[ $own_state != member ]]; then return; fi
  if [[ $other_tables_known == no ]]; then
    objection time "$HOST_NAME" "whether $HOST_NAME has tables that are not InnoDB's could not be looked up"
  elif ((${#other_tables[@]} > 0)); then
    local named
    named=$(name_tables "${other_tables[@]}")
    # The sentence becomes part of a line of JSON.
    objection tables "$HOST_NAME" \
      "rows of ${named//[\"\\]/?} may be on the primary alone, since no clone copies them: ALTER TABLE ... ENGINE=InnoDB on the primary"
  fi
}

# Backups may hold such tables as well. Where a session does not insist on the engine it names, the server makes
# InnoDB's of them (https://dev.mysql.com/doc/refman/8.4/en/sql-mode.html#sqlmode_no_engine_substitution): a dump
# does not insist as it is, and of the binary logs without_engines sees to it.

# Options of the other engines that InnoDB has not are left aside instead of refused.
LENIENT="SET SESSION innodb_strict_mode = OFF;"

# without_engines: lets statements of a binary log not insist: their sql_mode is a number, in which
# NO_ENGINE_SUBSTITUTION is 2^30.
without_engines() {
  awk '/^SET @@session.sql_mode=[0-9]+\/\*!\*\/;/ {
      mode = $0
      gsub(/[^0-9]/, "", mode)
      if (int(mode / 1073741824) % 2 == 1) mode -= 1073741824
      printf "SET @@session.sql_mode=%.0f/*!*/;\n", mode
      next
    }
    { print }'
}

# tables_of_dump FILE: the definitions of tables that are not InnoDB's, each ending with a NUL: the name in
# backticks, the engine, the statement, a line each.
tables_of_dump() {
  awk '/^CREATE TABLE `.*` \($/ { name = substr($0, 14, length($0) - 15); text = ""; engine = "" }
    name == "" { next }
    { text = text $0 "\n" }
    /^\) .*ENGINE=/ { engine = $0; sub(/.*ENGINE=/, "", engine); sub(/[^A-Za-z_].*/, "", engine) }
    /;$/ {
      if (engine != "" && engine != "InnoDB") printf "%s\n%s\n%s%c", name, engine, text, 0
      name = ""
    }' "$1"
}

# become_innodb FILE: prints the tables of a dump that will become InnoDB's. Each is made for a moment, without
# rows and in a schema of its own: what cannot be is to be known before anything is replaced. Nothing of it is in
# the binary log.
become_innodb() {
  local trial=cluster_trial definition name engine error failed=0
  local -a named=()
  while IFS= read -r -d "" definition; do
    { IFS= read -r name && IFS= read -r engine; } <<<"$definition"
    named+=("$DATABASE_NAME.${name//\`/} ($engine)")
    if ! error=$(printf '%s\n' "
        SET SESSION sql_log_bin = OFF;
        DROP DATABASE IF EXISTS $trial;
        CREATE DATABASE $trial;
        USE $trial;
        SET SESSION sql_mode = '';
        $LENIENT
        ${definition#*$'\n'*$'\n'}
        DROP DATABASE $trial;" | sql 30 2>&1); then
      log "${named[-1]} cannot become InnoDB's: $error"
      failed=1
    fi
  done < <(tables_of_dump "$1")
  printf 'SET SESSION sql_log_bin = OFF; DROP DATABASE IF EXISTS %s;\n' "$trial" | sql 10 2>/dev/null || true
  if ((${#named[@]} > 0)); then printf 'these become InnoDB: %s\n' "$(name_tables "${named[@]}")"; fi
  ((failed == 0)) || fail "nothing was changed: make a backup after ALTER TABLE ... ENGINE=InnoDB, or restore another moment"
}
