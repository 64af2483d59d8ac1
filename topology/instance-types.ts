/**
 * EC2 instance families that are older than the Nitro system. Only on Nitro is a data volume an NVMe disk that identifies
 * itself, and does EBS have dedicated bandwidth.
 * https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-nitro-instances.html
 */
const BEFORE_NITRO = new Set(
  "c1 c3 c4 cc1 cc2 cg1 cr1 d2 f1 g2 g3 g3s h1 hi1 hs1 i2 i3 m1 m2 m3 m4 p2 p3 r3 r4 t1 t2 x1 x1e".split(
    " ",
  ),
);

/** Families with Arm processors: a `g` after the generation, as in m7g, c7gn or x2gd; and the first one, a1. */
const ARM = /^(a1|[a-z]+\d+g[a-z]*(-.+)?)$/;

/** Families that run macOS only. */
const MAC = /^mac/;

/**
 * Checks an instance type: hosts need x86-64 and the Nitro system.
 *
 * Does not detect a type that does not exist: AWS adds some every month.
 *
 * @returns what would be right, or undefined if no problem is known
 */
export function problemOfInstanceType(type: string): string | undefined {
  const [family = "", size = ""] = type.split(".");
  if (ARM.test(family) || MAC.test(family)) {
    return "an instance type with x86-64 processors: the cluster's images and packages are built for these";
  }
  // Of the i3 family, only i3.metal is on the Nitro system.
  return BEFORE_NITRO.has(family) && !(family === "i3" && size === "metal")
    ? 'an instance type on the Nitro system, for example "t3.small": data volumes require it'
    : undefined;
}
