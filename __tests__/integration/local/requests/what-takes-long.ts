import type { ScratchCluster } from "../../../../drill/scratch/scratch-cluster";
import { app } from "./echo-app";
import { close, echoes, exchange, MIB, pause, upgrade, Wire } from "./wire";

/** Requests that are slow or silent for long, but legitimate: they start, and are checked after other tests. */
export function whatTakesLong(cluster: ScratchCluster) {
  // All of them at once, while other tests run: each mostly waits, and none disturbs another.
  const slow: Record<string, Promise<unknown>> = {};
  const outcome = (name: string) => slow[name] as Promise<unknown>;

  const begins = () => {
    test("start in the background", async () => {
      const start = (name: string, work: () => Promise<unknown>) => {
        slow[name] = work();
        slow[name]?.catch(() => {});
      };
      const reloaded = await upgrade(cluster);
      cluster.on("load-balancer-1", "systemctl reload haproxy.service");
      for (const web of ["web-1", "web-2"]) {
        cluster.on(web, "systemctl reload nginx.service");
      }
      // A connection that is opened at once may still reach a process that is shutting down.
      await pause(2);
      start("reload", async () => {
        await echoes(reloaded, "after the reload");
        await pause(30);
        await echoes(reloaded, "and half a minute");
        reloaded.close();
      });
      start("idle", async () => {
        const wire = await upgrade(cluster);
        await pause(31);
        await echoes(wire, "after 31 s");
        const since = Date.now();
        await wire.end(60);
        return (Date.now() - since) / 1000;
      });
      start("events", async () => {
        const wire = await Wire.open(cluster);
        wire.send(
          `GET /stream?every=31000&times=1 HTTP/1.1\r\n${close.join("\r\n")}\r\nAccept: text/event-stream\r\n\r\n`,
        );
        await wire.until(/\r\n\r\n/);
        await wire.until(/data: 1/, 40);
      });
      start("parts", async () => {
        const wire = await Wire.open(cluster);
        wire.send(
          `GET /stream?every=1000&times=8&type=application/x-ndjson HTTP/1.1\r\n${close.join("\r\n")}\r\n\r\n`,
        );
        const came: number[] = [];
        for (let part = 1; part <= 8; part++) {
          await wire.until(new RegExp(`data: ${part}\n`));
          came.push(Date.now());
        }
        return came.slice(1).map((moment, index) => moment - (came[index] as number));
      });
      for (const kind of ["length", "chunked"]) {
        start(`upload ${kind}`, async () => {
          const wire = await Wire.open(cluster);
          const part = "u".repeat(20_000);
          const chunk = kind === "chunked" ? `${part.length.toString(16)}\r\n${part}\r\n` : part;
          wire.send(
            `POST /echo HTTP/1.1\r\n${close.join("\r\n")}\r\n${
              kind === "chunked"
                ? "Transfer-Encoding: chunked"
                : `Content-Length: ${part.length * 5}`
            }\r\n\r\n`,
          );
          for (const seconds of [1, 15, 1, 25, 1]) {
            await pause(seconds);
            wire.send(chunk);
          }
          wire.send(kind === "chunked" ? "0\r\n\r\n" : "");
          return wire.until(/"bytes":100000/);
        });
      }
      start("keyed upload", async () => {
        const wire = await Wire.open(cluster);
        wire.send(
          `POST /echo HTTP/1.1\r\n${close.join("\r\n")}\r\nIdempotency-Key: k\r\nContent-Length: 6\r\n\r\nabc`,
        );
        await pause(15);
        wire.send("def");
        return wire.until(/"bytes":6/);
      });
      start("slow reader", async () =>
        exchange(
          cluster,
          ["POST /reads-slowly?seconds=2 HTTP/1.1", ...close, `Content-Length: ${MIB}`],
          "r".repeat(MIB),
        ),
      );
    });

    test("a response is streamed to the visitor as the app sends it", async () => {
      for (const gap of (await outcome("parts")) as number[]) {
        expect(gap).toBeGreaterThan(500);
        expect(gap).toBeLessThan(2000);
      }
    });

    test("an app that reads a body slowly gets all of it", async () => {
      expect(await outcome("slow reader")).toMatchObject({ status: 200, echo: { bytes: MIB } });
    });
  };

  const ends = () => {
    test.each(["upload length", "upload chunked", "keyed upload"])(
      "a body with pauses arrives whole: %s",
      async (name) => {
        expect(await outcome(name)).toMatch(/^HTTP\/1\.1 200/);
      },
      60_000,
    );

    test("a WebSocket survives a reload of the proxies", async () => {
      await outcome("reload");
    }, 60_000);

    test("server-sent events may pause for as long as a tunnel", async () => {
      await outcome("events");
    }, 60_000);

    test("an idle WebSocket is kept open for app.tunnelTimeout, and no longer", async () => {
      const seconds = await outcome("idle");
      expect(seconds).toBeGreaterThan(app.tunnelTimeout - 2);
      expect(seconds).toBeLessThan(app.tunnelTimeout + 5);
    }, 120_000);
  };

  return { begins, ends };
}
