/** What a search reads, and what it has found. Pure. */
import type { SearchResult } from "../../../contract.gen";
import { finite, isObject } from "../../../lib/json";
import { bounded } from "../../../lib/text";

/** The most texts that are searched, and results. */
export const SEARCHED = 500;
export const BEST = 50;
/** The most characters of a text, so that a call stays within the contract's limit. */
const LONGEST = 9_000;

/** A held-out row: a query, and a document of it. */
export interface Pair {
  query: string;
  document: string;
}

/** A text with its place in the searched ones, from 0. */
export interface Hit {
  place: number;
  score: number;
}

export function pairsOf(rows: unknown): Pair[] {
  return (Array.isArray(rows) ? rows : []).filter(isObject).flatMap(({ question, wanted }) => {
    if (typeof question !== "string" || typeof wanted !== "string") return [];
    return question.trim() && wanted.trim() ? [{ query: question.trim(), document: wanted }] : [];
  });
}

/**
 * The texts to search, each once: the documents of held-out rows, then the lines of `own`. A reranker orders only
 * those of a query's own rows, if there are any.
 */
export function textsFor(query: string, pairs: readonly Pair[], own: string, reranks: boolean): string[] {
  const ofQuery = reranks ? pairs.filter((pair) => pair.query === query) : [];
  const documents = (ofQuery.length > 0 ? ofQuery : pairs).map(({ document }) => document);
  const texts = [...documents, ...linesOf(own)].map((text) => bounded(text, LONGEST));
  return [...new Set(texts)].slice(0, SEARCHED);
}

export function linesOf(own: string): string[] {
  return own
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

/** The best so far with those of an answer about `count` texts, the first of which is at the place `from`. */
export function merged(best: readonly Hit[], answer: SearchResult, from: number, count: number): Hit[] {
  const sent: unknown = isObject(answer) ? answer.results : null;
  const found = (Array.isArray(sent) ? sent : []).filter(isObject).flatMap(({ index, score }) => {
    const [at, value] = [finite(index), finite(score)];
    if (at === null || value === null || !Number.isInteger(at) || at < 0 || at >= count) return [];
    return [{ place: from + at, score: value }];
  });
  return [...best, ...found].sort((a, b) => b.score - a.score || a.place - b.place).slice(0, BEST);
}
