import { Counter, collectDefaultMetrics, Histogram, Registry } from "prom-client";

/** A request that has been answered. */
export interface AnsweredRequest {
  readonly method: string;
  /** The route that it took, for example `/api/entries`; `none` if there is none. Not its URL, which visitors choose. */
  readonly route: string;
  readonly statusCode: number;
  readonly seconds: number;
}

/** What the process tells a monitor, in Prometheus' format. */
export class Metrics {
  private readonly registry = new Registry();
  // The name and the labels that the cluster's alerts about latency look for (docs/monitoring.md).
  private readonly requests = new Histogram({
    name: "http_request_duration_seconds",
    help: "How long requests took, from their arrival to the end of the response",
    labelNames: ["method", "route", "outcome"],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  });
  private readonly uses = new Counter({
    name: "guestbook_database_uses_total",
    help: "Reads and writes of the guestbook, by the database host that served them",
    labelNames: ["access", "database"],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  answered({ method, route, statusCode, seconds }: AnsweredRequest): void {
    const outcome = `${Math.floor(statusCode / 100)}xx`;
    this.requests.observe({ method, route, outcome }, seconds);
  }

  used(access: "read" | "write", database: string): void {
    this.uses.inc({ access, database });
  }

  readonly contentType: string = this.registry.contentType;

  text(): Promise<string> {
    return this.registry.metrics();
  }
}
