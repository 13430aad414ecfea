/** A slider that looks the same in every browser: filled up to its value. */

interface Props {
  min: number;
  max: number;
  step: number;
  value: number;
  onInput: (value: number) => void;
  /** On a double click. */
  onReset?: () => void;
  /** Its name, if no label surrounds it. */
  label?: string;
  /** Its value as text, if the number alone says too little. */
  valueText?: string;
  class?: string;
}

export function Range({ min, max, step, value, onInput, onReset, label, valueText, class: own }: Props) {
  const share = `${(100 * (value - min)) / (max - min)}%`;
  return (
    <input
      type="range"
      class={["ui-range", own].filter(Boolean).join(" ")}
      aria-label={label}
      aria-valuetext={valueText}
      min={min}
      max={max}
      step={step}
      value={value}
      style={{ "--share": share }}
      onInput={(event) => onInput(event.currentTarget.valueAsNumber)}
      onDblClick={onReset}
    />
  );
}
