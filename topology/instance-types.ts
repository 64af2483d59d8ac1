/**
 * Families of EC2 that are older than the Nitro system, on which alone a data volume is an NVMe disk
 * that says what it is, and EBS has a share of the network of its own.
 * https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-nitro-instances.html
 */
const BEFORE_NITRO = new Set(
  "c1 c3 c4 cc1 cc2 cg1 cr1 d2 f1 g2 g3 g3s h1 hi1 hs1 i2 i3 m1 m2 m3 m4 p2 p3 r3 r4 t1 t2 x1 x1e".split(
    " ",
  ),
);

/** Families with processors of Arm: a `g` after the generation, as in m7g, c7gn or x2gd, and the first of them. */
const ARM = /^(a1|[a-z]+\d+g[a-z]*(-.+)?)$/;

/** Families with macOS only. */
const MAC = /^mac/;

/**
 * What is wrong with an instance type, for hosts that are x86-64 and need the Nitro system.
 *
 * A type that does not exist is not found out: AWS adds some every month.
 *
 * @returns the problem, or undefined when there is none known
 */
export function problemOfInstanceType(type: string): string | undefined {
  const [family = "", size = ""] = type.split(".");
  if (ARM.test(family) || MAC.test(family)) {
    return "an instance type with x86-64 processors: images and packages of the cluster are for these";
  }
  // The largest i3 alone is of the Nitro system.
  return BEFORE_NITRO.has(family) && !(family === "i3" && size === "metal")
    ? 'an instance type of the Nitro system, for example "t3.small": data volumes need it'
    : undefined;
}
