import { ask, type ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { eventually } from "../../../drill/scratch/workspace";
import { attemptSync } from "../../../ops/run";
import { write } from "./writing";

/** How apps reach their database from web servers. */
const WAYS = {
  app: { user: "app", secret: "mysql-app-password", port: 3306 },
  read: { user: "app_read", secret: "mysql-read-password", port: 3307 },
} as const;

/**
 * Executes statements on web-1 with one of the app's accounts, and goes on after one that fails. Returns the rows, and
 * the errors of the server among them.
 */
function execute(cluster: ScratchCluster, way: keyof typeof WAYS, statements: string): string {
  const { user, secret, port } = WAYS[way];
  const login = `printf '[client]\\nuser=%s\\npassword=%s\\n' ${user} "$(cat /run/cluster/secrets/${secret})"`;
  const client = `exec mysql --defaults-extra-file=<(${login}) --host=127.0.0.1 --port=${port} --ssl-mode=REQUIRED --force -NB app 2>&1`;
  const project = ["--project", cluster.incusProject];
  const { stdout } = attemptSync(
    ["incus", ...project, "exec", "web-1", "--", "bash", "-c", client],
    {
      input: statements,
      seconds: 60,
    },
  );
  return stdout;
}

/** The same for statements that must all succeed. */
function succeed(cluster: ScratchCluster, way: keyof typeof WAYS, statements: string): string[] {
  const printed = execute(cluster, way, statements);
  expect(printed).not.toMatch(/^ERROR/m);
  return printed.trim().split("\n");
}

const executed = (cluster: ScratchCluster, host: string) =>
  cluster.query(host, "SELECT REPLACE(@@gtid_executed, '\\n', '')")[0] as string;

/** Waits until every database host has executed what the primary has executed by now. */
async function replicated(cluster: ScratchCluster, primary: string): Promise<void> {
  const set = executed(cluster, primary);
  for (const host of cluster.databases) {
    await eventually(
      `${host} has executed ${set}`,
      () => cluster.query(host, `SELECT GTID_SUBSET('${set}', @@gtid_executed)`)[0] === "1",
      30,
    );
  }
}

/** A statement of each sort that could change something, or leave a mark in the binary log. */
const TRACES = `
  REPAIR TABLE traced; ANALYZE TABLE traced; ANALYZE TABLE traced UPDATE HISTOGRAM ON note WITH 4 BUCKETS;
  ANALYZE LOCAL TABLE traced; OPTIMIZE TABLE traced; CHECK TABLE traced; CHECKSUM TABLE traced;
  FLUSH TABLES; FLUSH LOCAL TABLES; FLUSH STATUS; FLUSH PRIVILEGES; FLUSH LOGS;
  XA START 'a'; XA END 'a'; XA PREPARE 'a'; XA COMMIT 'a';
  XA START 'b'; SELECT COUNT(*) FROM traced; XA END 'b'; XA PREPARE 'b'; XA ROLLBACK 'b';
  XA START 'c'; SELECT COUNT(*) FROM traced; XA END 'c'; XA COMMIT 'c' ONE PHASE;
  XA START 'd'; INSERT INTO traced VALUES (9, ''); XA END 'd'; XA PREPARE 'd'; XA COMMIT 'd';
  CREATE TEMPORARY TABLE mine (id INT); ANALYZE TABLE mine; REPAIR TABLE mine; DROP TEMPORARY TABLE IF EXISTS mine;
  LOCK TABLES traced READ; LOCK TABLES traced WRITE; UNLOCK TABLES;
  HANDLER traced OPEN; HANDLER traced CLOSE; CALL mend();
  SELECT * FROM traced FOR UPDATE; BEGIN; SELECT COUNT(*) FROM traced; COMMIT;
  SELECT COUNT(*) FROM traced INTO @count; SELECT * FROM traced INTO OUTFILE '/tmp/traced';
  DO SLEEP(0); SELECT GET_LOCK('traced', 1), RELEASE_LOCK('traced');
  INSERT INTO traced VALUES (8, ''); UPDATE traced SET note = '' WHERE 0; DELETE FROM traced; TRUNCATE traced;
  SET PASSWORD = 'another1another1another1'; ALTER USER USER() IDENTIFIED BY 'another1another1another1';
  SET GTID_NEXT = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa:1'; BEGIN; COMMIT; SET GTID_NEXT = 'AUTOMATIC';
  SET SESSION sql_log_bin = OFF; CREATE VIEW v AS SELECT 1; DROP VIEW IF EXISTS v; DROP TABLE IF EXISTS nothing;
  CREATE TABLE IF NOT EXISTS traced (id INT); DROP DATABASE IF EXISTS nothing; DROP PROCEDURE IF EXISTS mend;`;

/** What migrations do: those of frameworks, of tools that change a table while it is written to, and by hand. */
const MIGRATION = `
  SELECT GET_LOCK('migration', 5);
  CREATE TABLE schema_migrations (version VARCHAR(255) PRIMARY KEY);
  CREATE TABLE authors (
    id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(190) NOT NULL UNIQUE, born DATE NULL, data JSON NULL,
    initial CHAR(1) GENERATED ALWAYS AS (LEFT(name, 1)) STORED, CHECK (name <> '')
  );
  CREATE TABLE books (
    id BIGINT AUTO_INCREMENT PRIMARY KEY, author_id BIGINT NOT NULL, title TEXT, sold INT NOT NULL DEFAULT 0,
    FULLTEXT KEY titles (title), CONSTRAINT written FOREIGN KEY (author_id) REFERENCES authors (id) ON DELETE CASCADE
  );
  CREATE TABLE sales (book_id BIGINT NOT NULL, sold_on DATE NOT NULL, PRIMARY KEY (book_id, sold_on))
    PARTITION BY RANGE COLUMNS (sold_on) (PARTITION old VALUES LESS THAN ('2026-01-01'), PARTITION new VALUES LESS THAN (MAXVALUE));
  CREATE VIEW titles AS SELECT books.title, authors.name FROM books JOIN authors ON authors.id = books.author_id;
  DELIMITER //
  CREATE TRIGGER counted AFTER INSERT ON sales FOR EACH ROW
    BEGIN UPDATE books SET sold = sold + 1 WHERE id = NEW.book_id; END//
  CREATE FUNCTION doubled(number INT) RETURNS INT RETURN 2 * number//
  CREATE FUNCTION books_of(author BIGINT) RETURNS INT READS SQL DATA
    BEGIN DECLARE found INT; SELECT COUNT(*) INTO found FROM books WHERE author_id = author; RETURN found; END//
  CREATE PROCEDURE add_book(author VARCHAR(190), title TEXT)
    BEGIN
      INSERT INTO authors (name) VALUES (author);
      INSERT INTO books (author_id, title) VALUES (LAST_INSERT_ID(), title);
    END//
  DELIMITER ;
  CALL add_book('Mary Shelley', 'Frankenstein; or, The Modern Prometheus');
  INSERT INTO sales VALUES (1, '2025-12-31'), (1, '2026-01-02');
  ALTER TABLE authors ADD COLUMN died DATE NULL, ADD INDEX (born), ALGORITHM=INPLACE, LOCK=NONE;
  ALTER TABLE sales DROP PARTITION old;
  RENAME TABLE schema_migrations TO migrations;
  TRUNCATE TABLE migrations;
  CREATE TABLE copied AS SELECT * FROM authors;
  CREATE TEMPORARY TABLE passing AS SELECT id FROM authors;
  LOCK TABLES authors WRITE, books READ; UPDATE authors SET born = '1797-08-30'; UNLOCK TABLES;
  ALTER PROCEDURE add_book COMMENT 'for tests'; ALTER VIEW titles AS SELECT title FROM books;
  CREATE DATABASE IF NOT EXISTS app;
  -- A table is changed the way pt-online-schema-change does.
  CREATE TABLE _books_new LIKE books; ALTER TABLE _books_new ADD COLUMN isbn CHAR(13) NULL;
  CREATE TRIGGER pt_insert AFTER INSERT ON books FOR EACH ROW
    REPLACE INTO _books_new (id, author_id, title, sold) VALUES (NEW.id, NEW.author_id, NEW.title, NEW.sold);
  CREATE TRIGGER pt_update AFTER UPDATE ON books FOR EACH ROW
    REPLACE INTO _books_new (id, author_id, title, sold) VALUES (NEW.id, NEW.author_id, NEW.title, NEW.sold);
  CREATE TRIGGER pt_delete AFTER DELETE ON books FOR EACH ROW DELETE IGNORE FROM _books_new WHERE id = OLD.id;
  INSERT IGNORE INTO _books_new (id, author_id, title, sold) SELECT id, author_id, title, sold FROM books LOCK IN SHARE MODE;
  ANALYZE TABLE _books_new; RENAME TABLE books TO _books_old, _books_new TO books;
  DROP TRIGGER pt_insert; DROP TRIGGER pt_update; DROP TRIGGER pt_delete; DROP TABLE _books_old;
  SHOW CREATE PROCEDURE add_book; SHOW CREATE TRIGGER counted; SHOW CREATE VIEW titles; SHOW TRIGGERS; SHOW PROCESSLIST;
  SELECT RELEASE_LOCK('migration');`;

const MIGRATED = "authors, books, sales, migrations, copied";
const CLEAN_UP = `DROP VIEW titles; DROP FUNCTION doubled; DROP FUNCTION books_of; DROP PROCEDURE add_book;
  SET foreign_key_checks = 0; DROP TABLE ${MIGRATED};`;

/** Makes the servers accept every engine, as they once did, or only those of today; the primary stays primary. */
async function allowEngines(cluster: ScratchCluster, allow: boolean): Promise<void> {
  const primary = await cluster.inSync();
  const replicas = cluster.databases.filter((name) => name !== primary);
  const [from, to] = allow ? ["disabled_", "#disabled_"] : ["#disabled_", "disabled_"];
  for (const host of [...replicas, primary]) {
    cluster.on(
      host,
      `sed -i 's/^${from}storage_engines/${to}storage_engines/' /etc/mysql/cluster/mysqld.cnf && systemctl restart mysql`,
    );
    await cluster.inSync();
  }
  // The web server learns a moment later that the primary is back.
  await eventually(
    "the app's account reaches the primary",
    () => !/^ERROR/m.test(execute(cluster, "app", "SELECT 1;")) || undefined,
    10,
  );
}

/** The database as an app sees it: what its accounts may do, and what happens to its data. */
export function appDatabase(cluster: ScratchCluster): void {
  const hosts = async () => {
    const primary = await cluster.inSync();
    return { primary, replica: cluster.databases.find((name) => name !== primary) as string };
  };

  test("no table can be created whose rows a clone or a restart would lose", async () => {
    const engines = [
      "MyISAM",
      "MEMORY",
      "HEAP",
      "CSV",
      "ARCHIVE",
      "BLACKHOLE",
      "MERGE",
      "FEDERATED",
      "EXAMPLE",
      "NDB",
    ];
    succeed(cluster, "app", "CREATE TABLE safe (id INT NOT NULL PRIMARY KEY)");
    try {
      for (const engine of engines) {
        const printed = execute(
          cluster,
          "app",
          `CREATE TABLE lost (id INT NOT NULL) ENGINE=${engine};
           CREATE TABLE lost ENGINE=${engine} SELECT 1 AS id;
           CREATE TEMPORARY TABLE lost (id INT NOT NULL) ENGINE=${engine};
           ALTER TABLE safe ENGINE=${engine};`,
        );
        const refusals = printed.match(/^ERROR (3161|1286|1178|1786) .*$/gm) ?? [];
        expect([engine, refusals.length, printed]).toEqual([engine, 4, printed]);
      }
      expect(
        execute(cluster, "app", "SET default_storage_engine = MyISAM; CREATE TABLE lost (id INT)"),
      ).toMatch(/ERROR 3161 .* MyISAM is disabled/);
      // However the engine is chosen.
      expect(
        execute(
          cluster,
          "app",
          `SET default_tmp_storage_engine = MEMORY; CREATE TEMPORARY TABLE lost (id INT);
           PREPARE making FROM 'CREATE TABLE lost (id INT) ENGINE = "MyISAM"'; EXECUTE making;
           CREATE TABLE IF NOT EXISTS lost (id INT NOT NULL) /*!50000 ENGINE=CSV */;
           CREATE PROCEDURE lose() CREATE TABLE lost (id INT) ENGINE=MyISAM; CALL lose();`,
        ).match(/^ERROR \d+/gm),
      ).toEqual(Array(4).fill("ERROR 3161"));
      // A session that does not insist on the engine gets InnoDB.
      succeed(
        cluster,
        "app",
        `SET sql_mode = ''; CREATE TABLE lenient (id INT) ENGINE=MyISAM; ALTER TABLE safe ENGINE=MEMORY`,
      );
      expect(
        succeed(
          cluster,
          "app",
          "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = 'app' AND table_type = 'BASE TABLE'",
        ),
      ).toEqual(["InnoDB"]);
    } finally {
      execute(
        cluster,
        "app",
        "DROP PROCEDURE IF EXISTS lose; DROP TABLE IF EXISTS safe, lenient, lost",
      );
    }
    await cluster.inSync();
  });

  test("the read account leaves no trace on a closed server", async () => {
    const { primary, replica } = await hosts();
    succeed(
      cluster,
      "app",
      `CREATE TABLE traced (id INT PRIMARY KEY, note VARCHAR(20)); INSERT INTO traced VALUES (1, 'kept');
       CREATE PROCEDURE mend() REPAIR TABLE traced;`,
    );
    await replicated(cluster, primary);
    expect(succeed(cluster, "read", "SELECT @@report_host, note FROM traced")).toEqual([
      `${replica}\tkept`,
    ]);
    execute(cluster, "read", TRACES);
    const set = executed(cluster, primary);
    expect(
      cluster.query(
        replica,
        `SELECT COUNT(*), GTID_SUBTRACT(@@gtid_executed, '${set}') FROM app.traced`,
      ),
    ).toEqual(["1"]);
    expect(succeed(cluster, "read", "SELECT id, note FROM traced")).toEqual(["1\tkept"]);
    succeed(cluster, "app", "DROP PROCEDURE mend; DROP TABLE traced;");
    await cluster.inSync();
  });

  test("the guestbook reads with the read account", async () => {
    const { replica } = await hosts();
    await cluster.serving();
    expect(
      cluster.query(
        replica,
        "SELECT total_connections > 0 FROM performance_schema.users WHERE user = 'app_read'",
      ),
    ).toEqual(["1"]);
  });

  test("ordinary migrations work for the app's account, and reach the replicas", async () => {
    const { primary, replica } = await hosts();
    execute(cluster, "app", CLEAN_UP);
    succeed(cluster, "app", MIGRATION);
    expect(
      succeed(
        cluster,
        "app",
        "SELECT doubled(books_of(1)), sold, isbn IS NULL FROM books; SELECT initial, born FROM authors; SELECT * FROM sales",
      ),
    ).toEqual(["2\t2\t1", "M\t1797-08-30", "1\t2026-01-02"]);
    await replicated(cluster, primary);
    expect(
      succeed(
        cluster,
        "read",
        "SELECT @@report_host, COUNT(*) FROM titles WHERE title LIKE 'Frankenstein%'; SELECT MATCH (title) AGAINST ('Prometheus') > 0 FROM books",
      ),
    ).toEqual([`${replica}\t1`, "1"]);
    succeed(cluster, "app", CLEAN_UP);
    await cluster.inSync();
  });

  test("the app's account cannot create events, other databases or accounts, which a failover would not carry over", () => {
    const printed = execute(
      cluster,
      "app",
      `CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM guestbook_entries;
       CREATE DATABASE shadow; SET GLOBAL event_scheduler = ON; CREATE USER other; SELECT * FROM cluster.declared;
       CREATE TABLESPACE elsewhere ADD DATAFILE 'elsewhere.ibd'; CREATE TABLE elsewhere (id INT) DATA DIRECTORY = '/tmp';
       CREATE DEFINER = root@localhost VIEW borrowed AS SELECT 1;`,
    );
    expect(printed.match(/^ERROR \d+/gm)).toEqual([
      "ERROR 1044",
      "ERROR 1044",
      "ERROR 1227",
      "ERROR 1227",
      "ERROR 1142",
      "ERROR 1227",
      "ERROR 1045",
      "ERROR 1227",
    ]);
    expect(printed).toMatch(/^ERROR 1044 .*Access denied/);
  });

  test("every database host knows named time zones", async () => {
    const { primary } = await hosts();
    succeed(
      cluster,
      "app",
      `SET time_zone = 'Europe/Berlin'; CREATE TABLE zoned (at TIMESTAMP NOT NULL PRIMARY KEY);
       INSERT INTO zoned VALUES ('2026-07-01 12:00:00');`,
    );
    await replicated(cluster, primary);
    for (const host of cluster.databases) {
      expect([
        host,
        cluster.query(
          host,
          `SELECT CONVERT_TZ('2026-01-01 00:00:00', 'UTC', 'Europe/Berlin'),
             CONVERT_TZ('2026-01-01 00:00:00', 'UTC', 'US/Eastern'), at FROM app.zoned`,
        ),
      ]).toEqual([host, ["2026-01-01 01:00:00\t2025-12-31 19:00:00\t2026-07-01 10:00:00"]]);
    }
    succeed(cluster, "app", "DROP TABLE zoned");
  });

  test("accounts of an existing cluster are updated to the declared ones, and then nothing is written", async () => {
    const { primary, replica } = await hosts();
    // The state of a cluster before any of this was declared.
    cluster.query(
      primary,
      `DROP USER IF EXISTS 'app_read'@'${cluster.topology.network.cidr}'; DROP TABLE cluster.declared;
       REVOKE TRIGGER, CREATE ROUTINE, EXECUTE ON app.* FROM 'app'@'${cluster.topology.network.cidr}';
       DELETE FROM mysql.time_zone_name;`,
    );
    await replicated(cluster, primary);
    // Reads still succeed, although the servers do not know the read account.
    for (let count = 0; count < 10; count++) {
      expect((await ask(`${cluster.url}/api/entries`)).status).toBe(200);
    }
    // Connections from before there was a replica live for another half a minute.
    await eventually(
      "a web server reads from the replica",
      async () =>
        JSON.parse((await ask(`${cluster.url}/api/whoami`)).body).database.read === replica ||
        undefined,
      40,
    );
    cluster.on(primary, "systemctl restart cluster-database-agent");
    await eventually(
      "the primary has loaded the time zones",
      () => cluster.query(primary, "SELECT COUNT(*) > 500 FROM mysql.time_zone_name")[0] === "1",
      60,
    );
    await replicated(cluster, primary);
    expect(
      succeed(cluster, "read", "SELECT CONVERT_TZ('2026-01-01 00:00:00', 'UTC', 'Asia/Tokyo')"),
    ).toEqual(["2026-01-01 09:00:00"]);
    succeed(
      cluster,
      "app",
      "CREATE FUNCTION answer() RETURNS INT RETURN 42; SELECT answer(); DROP FUNCTION answer;",
    );
    const before = executed(cluster, primary);
    cluster.on(primary, "systemctl restart cluster-database-agent");
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    expect(executed(cluster, primary)).toBe(before);
    await cluster.inSync();
  });

  test("existing tables of other engines are reported, block a switchover, and are restored as InnoDB", async () => {
    await allowEngines(cluster, true);
    try {
      succeed(
        cluster,
        "app",
        "CREATE TABLE kept (id INT PRIMARY KEY) ENGINE=MyISAM; INSERT INTO kept VALUES (1), (2);",
      );
      const backup = cluster.operate("backup");
      expect(backup).toMatch(/database-\d dumps .*\napp\.kept \(MyISAM\): /);
      succeed(
        cluster,
        "app",
        "CREATE TABLE logged (id INT PRIMARY KEY) ENGINE=MyISAM ROW_FORMAT=FIXED; INSERT INTO logged VALUES (3);",
      );
    } finally {
      await allowEngines(cluster, false);
    }
    const { primary, replica } = await hosts();
    expect(execute(cluster, "app", "CREATE TABLE another LIKE kept")).toMatch(/^ERROR 3161 /);
    const tables = "app.kept (MyISAM), app.logged (MyISAM)";
    const status = cluster.attemptToOperate("status");
    expect([status.status, status.stdout]).toEqual([
      1,
      expect.stringContaining(`! replicas that cloned have no rows of ${tables}`),
    ]);
    const refused = cluster.attemptToOperate("switchover");
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toContain(`rows of ${tables} may be on the primary alone`);
    expect(refused.stderr).toContain("ALTER TABLE ... ENGINE=InnoDB");
    expect(refused.stderr).not.toContain("--accept-loss");
    // A host that is asked directly says the same.
    const promotion = cluster.attemptOn(replica, "/opt/cluster/scripts/database/agent.sh promote");
    expect(promotion.stderr).toContain(tables);
    expect((await cluster.roles())[primary]).toBe("primary");

    await write(cluster, `before-the-restore-${Date.now()}`);
    expect(cluster.operate("restore", "--overwrite")).toContain(`converted to InnoDB: ${tables}`);
    await cluster.serving();
    await cluster.inSync();
    for (const host of cluster.databases) {
      expect(
        cluster.query(
          host,
          `SELECT engine, (SELECT COUNT(*) FROM app.kept), (SELECT COUNT(*) FROM app.logged)
           FROM information_schema.tables WHERE table_schema = 'app' AND table_name IN ('kept', 'logged')`,
        ),
      ).toEqual(["InnoDB\t2\t1", "InnoDB\t2\t1"]);
    }
    expect(cluster.operate("switchover", "--dry-run")).toContain("This will be done");
    succeed(cluster, "app", "DROP TABLE kept, logged");
  }, 300_000);

  test("a restore is refused before anything is replaced if InnoDB cannot hold a table", async () => {
    await allowEngines(cluster, true);
    try {
      succeed(
        cluster,
        "app",
        `CREATE TABLE groups_of (kind INT, number INT AUTO_INCREMENT, PRIMARY KEY (kind, number)) ENGINE=MyISAM;`,
      );
      cluster.operate("backup");
    } finally {
      await allowEngines(cluster, false);
    }
    const refused = cluster.attemptToOperate("restore", "--overwrite");
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toMatch(
      /app\.groups_of \(MyISAM\) cannot be converted to InnoDB: ERROR 1075/,
    );
    expect((await ask(`${cluster.url}/api/entries`)).status).toBe(200);
    succeed(cluster, "app", "DROP TABLE groups_of");
    cluster.operate("backup");
    await cluster.inSync();
  }, 300_000);
}
