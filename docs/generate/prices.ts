/** What AWS charges for one unit of something, before taxes and discounts. */
export interface Price {
  /** US dollars for one unit. */
  readonly dollars: number;
  readonly unit: string;
  /** AWS's own page on this price. It fills in the numbers by script. */
  readonly page: string;
  /** Where the number was read, or undefined where it is not confirmed by a public page. */
  readonly readAt?: string;
  /** What that page leaves open. */
  readonly doubt?: string;
}

/** On-demand list prices of one region. */
export interface PriceList {
  readonly region: string;
  /** When the prices were looked up, ISO 8601. */
  readonly date: string;
  readonly instanceHours: Readonly<Record<string, Price>>;
  readonly gp3: Price;
  readonly natGatewayHour: Price;
  readonly publicIpv4Hour: Price;
  /** In every region the same. */
  readonly keyMonth: Price;
}

/** Hours of a month in AWS's own examples: 365 * 24 / 12. */
export const HOURS_PER_MONTH = 730;

const EC2 = "https://aws.amazon.com/ec2/pricing/on-demand/";
const VPC = "https://aws.amazon.com/vpc/pricing/";
const BURSTABLE = {
  readAt: "https://matthiaskraaz.blogspot.com/2021/08/aws-ec2-price-of-maxed-out-burstable.html",
  doubt: "of 2021, names no region",
};

/** Linux, shared tenancy, Europe (Frankfurt). */
export const FRANKFURT: PriceList = {
  region: "eu-central-1",
  date: "2026-11-22",
  instanceHours: {
    "t3.micro": { dollars: 0.012, unit: "hour", page: EC2, ...BURSTABLE },
    "t3.small": { dollars: 0.024, unit: "hour", page: EC2, ...BURSTABLE },
  },
  gp3: {
    dollars: 0.0952,
    unit: "GB-month",
    page: "https://aws.amazon.com/ebs/pricing/",
    readAt: "https://hendric-jabs.de/2023/11/02/gp3-in-2-minuten/",
  },
  natGatewayHour: { dollars: 0.052, unit: "hour", page: VPC, doubt: "not confirmed by a page" },
  publicIpv4Hour: {
    dollars: 0.005,
    unit: "hour",
    page: VPC,
    readAt: "https://www.doit.com/aws-public-ipv4-price-increase-the-complete-guide/",
  },
  keyMonth: {
    dollars: 1,
    unit: "key and month",
    page: "https://aws.amazon.com/kms/pricing/",
    readAt: "https://cloudburn.io/blog/aws-kms-pricing",
    doubt: "the first and the second yearly rotation add $1 each",
  },
};
