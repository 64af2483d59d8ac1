import type { Role } from "../../topology/roles";

/** An allowing statement of an IAM policy. */
export interface Statement {
  readonly Sid: string;
  readonly Effect: "Allow";
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  /** By operator and key: values of which one must match. */
  readonly Condition?: Readonly<
    Record<string, Readonly<Record<string, string | readonly string[]>>>
  >;
}

/** The permissions of a role's hosts for a resource; empty if they need none. */
export type Grant = (role: Role) => readonly Statement[];

/** Who may assume a role: an AWS service, on behalf of this account alone. */
export function assumedBy(service: string, accountId: string): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: { Service: service },
        Action: "sts:AssumeRole",
        Condition: { StringEquals: { "aws:SourceAccount": accountId } },
      },
    ],
  });
}

/** Permission to read parameters. All such statements have the same Sid, so that they can be merged. */
export function readingParameters(...arns: string[]): Statement[] {
  return arns.length === 0
    ? []
    : [{ Sid: "Parameters", Effect: "Allow", Action: "ssm:GetParameter", Resource: arns }];
}

/** Merges statements with the same Sid, which have the same actions and conditions. */
export function merged(statements: readonly Statement[]): Statement[] {
  const bySid = new Map<string, Statement>();
  for (const statement of statements) {
    const before = bySid.get(statement.Sid);
    const Resource = [...new Set([before?.Resource ?? [], statement.Resource].flat())];
    bySid.set(statement.Sid, before === undefined ? statement : { ...before, Resource });
  }
  return [...bySid.values()];
}
