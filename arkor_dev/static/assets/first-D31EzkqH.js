import{i as e,xt as t}from"./index-Dk1o_8jb.js";var n=`arkor-dev init`,r=`[[trainer]]
name = "support-bot"
model = "smollm2-135m-instruct"
dataset = "data/support.jsonl"
steps = 40
learning_rate = 2e-3

[trainer.lora]
r = 8
`,i=`{"messages": [{"role": "user", "content": "Where is my order?"}, {"role": "assistant", "content": "Ahoy. Your order sails today."}]}`,a=`import { createArkor, createTrainer } from "arkor";

const trainer = createTrainer({
  name: "support-bot",
  model: "unsloth/gemma-4-E4B-it",
  dataset: { type: "huggingface", name: "arkorlab/triage-demo" },
  maxSteps: 50,
});

export const arkor = createArkor({ trainer });
`;function o({typescript:e}){return e?t(s,{}):t(`div`,{class:`home-first`,children:[t(`h1`,{tabIndex:-1,class:`home-name`,children:`Nothing to train yet`}),t(`p`,{class:`home-line`,children:`A trainer says which model learns from which examples. This project declares none.`}),t(`ol`,{class:`home-steps`,children:[t(`li`,{children:[t(`h2`,{children:`Let Studio write one`}),t(`p`,{class:`dim`,children:`In the project's folder. It writes a commented arkor.toml and a small data set, ready to run.`}),t(c,{text:n,label:`Copy the command`})]}),t(`li`,{children:[t(`h2`,{children:`Or write arkor.toml by hand`}),t(c,{text:r,label:`Copy the example`}),t(`p`,{class:`dim`,children:[`and the examples, one a line, in `,t(`code`,{children:`data/support.jsonl`}),`:`]}),t(c,{text:i,label:`Copy the row`})]})]}),t(`p`,{class:`hint`,children:`This page notices by itself when the file is there.`})]})}function s(){return t(`div`,{class:`home-first`,children:[t(`h1`,{tabIndex:-1,class:`home-name`,children:`No trainer is exported`}),t(`p`,{class:`home-line`,children:[t(`code`,{children:`src/arkor/index.ts`}),` builds, but exports no trainer. Export one as `,t(`code`,{children:`arkor`}),` or as`,` `,t(`code`,{children:`trainer`}),`:`]}),t(c,{text:a,label:`Copy the example`}),t(`p`,{class:`hint`,children:`This page notices by itself when the file is saved.`})]})}function c({text:n,label:r}){return t(`div`,{class:`home-snippet`,children:[t(`pre`,{tabIndex:0,children:n.trimEnd()}),t(e,{small:!0,text:n,label:r})]})}export{o as First};