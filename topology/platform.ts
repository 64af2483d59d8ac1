/** Where hosts can be placed: each platform is a stack, and an implementation of scripts/platform/. */
export type Platform = "aws" | "local";
