import type { Role } from "../../topology/roles";

/** One statement of an IAM policy that allows something. */
export interface Statement {
  readonly Sid: string;
  readonly Effect: "Allow";
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
}

/** What the hosts of a role are allowed to do with a resource; nothing where they have no business with it. */
export type Grant = (role: Role) => readonly Statement[];

/** Reading parameters. Every resource that has some for a role grants it under this one name. */
export function readingParameters(...arns: string[]): Statement[] {
  return arns.length === 0
    ? []
    : [{ Sid: "Parameters", Effect: "Allow", Action: "ssm:GetParameter", Resource: arns }];
}

/** Statements of one name, which allow the same, as one. */
export function merged(statements: readonly Statement[]): Statement[] {
  const bySid = new Map<string, Statement>();
  for (const statement of statements) {
    const before = bySid.get(statement.Sid);
    const Resource = [before?.Resource ?? [], statement.Resource].flat();
    bySid.set(statement.Sid, before === undefined ? statement : { ...before, Resource });
  }
  return [...bySid.values()];
}
