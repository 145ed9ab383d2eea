/** What the page asks about images. */
import { document, type Connection } from '../api/document.js';

/** An image by its digest. */
export interface Image {
  digest: string;
  references: string[];
  executionEnvironments: { id: string; name: string }[];
  inspection: string;
  inspectedAt: string | null;
  failure: { code: string; message: string } | null;
  findings: { code: string; message: string }[];
  problems: string[];
  operatingSystem: string | null;
  python: string | null;
  ansibleCore: string | null;
  ansibleRunner: string | null;
  sizeBytes: number | null;
  architecture: string | null;
  user: string | null;
  workingDirectory: string | null;
  entrypoint: string[];
  command: string[];
  labels: { name: string; value: string }[];
  createdAt: string | null;
  packageCounts: { kind: string; count: number }[];
  sbomUrl: string;
}

/** A package in an image. */
export interface ImagePackage {
  kind: string;
  name: string;
  version: string;
  detail: string;
}

const image = `digest references executionEnvironments { id name } inspection inspectedAt failure { code message }
    findings { code message } problems operatingSystem python ansibleCore ansibleRunner sizeBytes architecture user
    workingDirectory entrypoint command labels { name value } createdAt packageCounts { kind count } sbomUrl`;

export const imageQuery = document<{ image: Image | null }, { digest: string }>(
  `query Image($digest: String!) { image(digest: $digest) { ${image} } }`,
);

export const packagesQuery = document<
  { image: { packages: Connection<ImagePackage> } | null },
  { digest: string; kind: string | null; search: string | null; first: number; after?: string | null }
>(`query ImagePackages($digest: String!, $kind: PackageKind, $search: String, $first: Int!, $after: String) {
  image(digest: $digest) {
    packages(kind: $kind, search: $search, first: $first, after: $after) {
      nodes { kind name version detail } pageInfo { hasNextPage endCursor } totalCount
    }
  }
}`);

export const inspectMutation = document<
  { inspectImage: { code?: string; message?: string } },
  { digest: string }
>(`mutation InspectImage($digest: String!) {
  inspectImage(digest: $digest) { ... on InspectedImage { image { digest } } ... on InspectImageRefused { code message } }
}`);

/** How two images differ. */
export interface ImageDifference {
  added: ImagePackage[];
  removed: ImagePackage[];
  changed: { kind: string; name: string; from: string; to: string }[];
  properties: { name: string; from: string | null; to: string | null }[];
  unchanged: number;
}

export const differenceQuery = document<{ compareImages: ImageDifference }, { from: string; to: string }>(
  `query CompareImages($from: String!, $to: String!) {
  compareImages(from: $from, to: $to) {
    added { kind name version detail } removed { kind name version detail } changed { kind name from to }
    properties { name from to } unchanged
  }
}`,
);
