import { describe, expect, it } from "vitest";
import { cellWords, leastSure, matrixOf, predictedWords } from "./confusion";

const cell = (label: string, predicted: string, rows: number) => ({ label, predicted, rows });

describe("matrixOf", () => {
  it("counts rows by label and predicted label, in the labels' order", () => {
    const matrix = matrixOf([cell("10", "2", 3), cell("2", "2", 5), cell("10", "10", 1), cell("2", "x", 2)]);
    expect(matrix).toEqual({
      labels: ["2", "10", "x"],
      counts: [
        [5, 0, 2],
        [3, 1, 0],
        [0, 0, 0],
      ],
      totals: [7, 4, 0],
      left: 0,
    });
  });

  it("keeps the labels with the most errors, and counts rows of all predictions", () => {
    const cells = Array.from({ length: 60 }, (_, at) => cell(`label ${at}`, `label ${at}`, 9));
    const matrix = matrixOf([...cells, cell("label 59", "label 58", 4), cell("label 59", "label 3", 1)])!;
    expect(matrix.labels).toHaveLength(50);
    expect(matrix.left).toBe(10);
    expect(matrix.labels).toContain("label 59");
    expect(matrix.totals[matrix.labels.indexOf("label 59")]).toBe(14);
  });

  it("has no matrix without a cell that is one", () => {
    expect(matrixOf(undefined)).toBeNull();
    expect(matrixOf([{ label: 3, predicted: "a", rows: 1 }, null, "x"])).toBeNull();
  });
});

describe("leastSure", () => {
  const row = (number: number, confidence?: number, more = {}) => ({
    row: number,
    question: `text ${number}`,
    wanted: "spam",
    adapterAnswer: "ham",
    confidence,
    ...more,
  });

  it("orders rows by how sure the classifier is, without those that chose it", () => {
    const rows = leastSure([row(1, 0.9), row(2, 0.51), row(3), row(4, 0.6, { chose: true }), row(5, 0.7)]);
    expect(rows.map((found) => found.row)).toEqual([2, 5, 1, 3]);
    expect(rows[0]).toMatchObject({ text: "text 2", label: "spam", predicted: "ham", confidence: 0.51 });
  });

  it("leaves out what is not a row with labels", () => {
    expect(leastSure(null)).toEqual([]);
    expect(leastSure([row(1, 0.9, { adapterAnswer: undefined }), 7])).toEqual([]);
  });
});

describe("words", () => {
  it("says what a number counts", () => {
    expect(cellWords(cell("spam", "ham", 3))).toBe("3 rows with the label spam, predicted as ham");
    expect(cellWords(cell("spam", "spam", 1))).toBe("1 row with the label spam, predicted correctly");
  });

  it("says what was predicted, never with more certainty than it has", () => {
    const row = { row: 1, where: "", text: "", label: "a", predicted: "b", confidence: 0.999 };
    expect(predictedWords(row)).toBe("predicted as b with 99 %");
    expect(predictedWords({ ...row, predicted: "a", confidence: null })).toBe("predicted correctly");
  });
});
