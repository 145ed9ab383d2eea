/** A GraphQL document with the shapes of its variables and its answer. */
export interface Document<Result, Variables = Record<string, never>> {
  text: string;
  /** Never set: carries the types. */
  types?: (variables: Variables) => Result;
}

/** Names a document and gives it its types. src/api/documents.spec.ts holds every one against the schema. */
export const document = <Result, Variables = Record<string, never>>(
  text: string,
): Document<Result, Variables> => ({ text });

/** A page of a list, as the page asks for it. */
export interface Connection<Node> {
  nodes: Node[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
  totalCount: number;
}
