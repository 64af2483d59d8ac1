# shellcheck shell=bash
# Tables that are not InnoDB: created before the server refused them, or restored from a backup of that time. A clone
# copies them empty, so the rows may be on one host only, and are lost when it stops being the primary.

# The data dictionary records the engine: no table is opened for it.
OTHER_TABLES_QUERY="SELECT CONCAT(table_schema, '.', table_name, ' (', engine, ')')
  FROM information_schema.tables
  WHERE table_type = 'BASE TABLE' AND engine <> 'InnoDB'
    AND table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
  ORDER BY table_schema, table_name LIMIT 100;"

# look_for_other_tables: sets other_tables to them, `schema.table (engine)`, at most 100. Fails if the server does not
# answer.
# shellcheck disable=SC2034  # read by whoever sources this file
other_tables=()
# shellcheck disable=SC2034
look_for_other_tables() {
  ask 5 "$OTHER_TABLES_QUERY" || return
  other_tables=("${ROWS[@]}")
}

# name_tables TABLE...: the first of them, in a sentence.
name_tables() {
  local named
  printf -v named '%s, ' "${@:1:5}"
  printf '%s' "${named%, }"
  if (($# > 5)); then printf ' and %s more' "$(($# - 5))"; fi
}

# Backups may contain such tables as well. If a session does not insist on the engine it names, the server uses InnoDB
# instead (https://dev.mysql.com/doc/refman/8.4/en/sql-mode.html#sqlmode_no_engine_substitution), and so does every
# replica, which gets the session's sql_mode along with the statement.

# as_innodb: makes statements of a dump, or of a binary log, create InnoDB tables instead. They must not insist on the
# engine: the sql_mode of a log is a number, in which NO_ENGINE_SUBSTITUTION is 2^30, and a dump does not insist anyway.
# Options that InnoDB refuses are removed; making InnoDB ignore them is not possible, as no replica would.
as_innodb() {
  awk '/^SET @@session.sql_mode=[0-9]+\/\*!\*\/;/ {
      mode = $0
      gsub(/[^0-9]/, "", mode)
      if (int(mode / 1073741824) % 2 == 1) mode -= 1073741824
      printf "SET @@session.sql_mode=%.0f/*!*/;\n", mode
      next
    }
    /^(INSERT|#|\/\*)/ { print; next }
    toupper($0) ~ /ENGINE *=? *`?(MYISAM|MRG_MYISAM|MERGE|MEMORY|HEAP|CSV|ARCHIVE|BLACKHOLE|FEDERATED)/ {
      gsub(/[Rr][Oo][Ww]_[Ff][Oo][Rr][Mm][Aa][Tt] *=? *[A-Za-z]+/, "")
      gsub(/[Kk][Ee][Yy]_[Bb][Ll][Oo][Cc][Kk]_[Ss][Ii][Zz][Ee] *=? *[0-9]+/, "")
      gsub(/([Ii][Nn][Dd][Ee][Xx]|[Dd][Aa][Tt][Aa]) +[Dd][Ii][Rr][Ee][Cc][Tt][Oo][Rr][Yy] *=? *'\''[^'\'']*'\''/, "")
    }
    { print }'
}

# tables_of_dump [ENGINE]: the table definitions in a dump on standard input, except those of ENGINE, each terminated by
# a NUL: the name, the engine and then the statement.
tables_of_dump() {
  awk -v except="${1:-}" '/^CREATE TABLE `.*` \($/ { name = substr($0, 15, length($0) - 17); text = ""; engine = "" }
    name == "" { next }
    { text = text $0 "\n" }
    /^\) .*ENGINE=/ { engine = $0; sub(/.*ENGINE=/, "", engine); sub(/[^A-Za-z_].*/, "", engine) }
    /;$/ {
      if (engine != "" && engine != except) printf "%s\n%s\n%s%c", name, engine, text, 0
      name = ""
    }'
}

# tables_of_log: the same for a binary log as printed by mysqlbinlog, in which each statement ends with /*!*/;
tables_of_log() {
  awk -v database="$DATABASE_NAME" '
    statement == "" && toupper($0) !~ /^CREATE +TABLE/ { next }
    { statement = statement $0 "\n" }
    /\/\*!\*\/;$/ {
      sub(/\/\*!\*\/;\n$/, ";\n", statement)
      if (match(toupper(statement), /ENGINE *=? *`?(MYISAM|MRG_MYISAM|MERGE|MEMORY|HEAP|CSV|ARCHIVE|BLACKHOLE|FEDERATED)/)) {
        engine = substr(statement, RSTART, RLENGTH)
        sub(/^[A-Za-z]+ *=? *`?/, "", engine)
        name = statement
        sub(/^[A-Za-z]+ +[A-Za-z]+ +([Ii][Ff] +[Nn][Oo][Tt] +[Ee][Xx][Ii][Ss][Tt][Ss] +)?/, "", name)
        rest = name
        if (index(rest, database ".") == 1) rest = substr(rest, length(database) + 2)
        else if (index(rest, "`" database "`.") == 1) rest = substr(rest, length(database) + 4)
        name = rest
        sub(/[ (\n].*/, "", name)
        gsub(/`/, "", name)
        printf "%s\n%s\nCREATE TABLE %s%c", name, engine, rest, 0
      }
      statement = ""
    }'
}

# try_table STATEMENT: creates a table temporarily, without rows and in a separate schema: what InnoDB cannot hold must
# be known before anything is replaced. Nothing is written to the binary log. Prints the error if it fails.
try_table() {
  local trial=cluster_trial status=0
  printf '%s\n' "
    SET SESSION sql_log_bin = OFF, sql_mode = '', foreign_key_checks = OFF;
    DROP DATABASE IF EXISTS $trial;
    CREATE DATABASE $trial;
    USE $trial;
    $1" | sql 30 2>&1 || status=$?
  printf 'SET SESSION sql_log_bin = OFF; DROP DATABASE IF EXISTS %s;\n' "$trial" | sql 10 2>/dev/null || true
  return "$status"
}

# become_innodb: for definitions as above, prints which tables will be converted to InnoDB, and tries each.
become_innodb() {
  local definition name engine statement error failed=0
  local -a named=()
  while IFS= read -r -d "" definition; do
    { IFS= read -r name && IFS= read -r engine; } <<<"$definition"
    statement=$(as_innodb <<<"${definition#*$'\n'*$'\n'}")
    named+=("$DATABASE_NAME.$name ($engine)")
    if ! error=$(try_table "$statement"); then
      log "${named[-1]} cannot be converted to InnoDB: $error"
      failed=1
    fi
  done
  if ((${#named[@]} == 0)); then return 0; fi
  printf 'converted to InnoDB: %s\n' "$(name_tables "${named[@]}")"
  ((failed == 0)) ||
    fail "nothing was changed: restore a moment before such a table was created, or after it was converted to InnoDB"
}

# made_here THEIRS OURS: for definitions as above, from a server of the one version: fails if the other version, this
# server's, cannot create one, and names it.
made_here() {
  local definition name engine error failed=0
  while IFS= read -r -d "" definition; do
    { IFS= read -r name && IFS= read -r engine; } <<<"$definition"
    if ! error=$(try_table "${definition#*$'\n'*$'\n'}"); then
      log "$DATABASE_NAME.$name cannot be created on this server: $error"
      failed=1
    fi
  done
  ((failed == 0)) ||
    fail "nothing was changed: the backup is from MySQL $1 and uses features that this older server, $2, lacks; restore it into a cluster with its own series of MySQL"
}
