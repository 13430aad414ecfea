import{Wt as e,gt as t}from"./index-DtHTBSVL.js";var n=400,r=500;function i({text:i}){let a=i.split(`
`).filter(e=>e!==``&&!/^(---|\+\+\+) /.test(e));return a.length===0?t(`p`,{class:`dim`,children:`arkor.toml says this already.`}):t(`pre`,{class:`ui-diff`,tabIndex:0,"aria-label":`Changes`,children:a.slice(0,n).map((n,i)=>{let[a,o]=[n[0],e(n.slice(1).replaceAll(`	`,`  `),r)];return a===`@`?i===0?null:t(`span`,{class:`ui-diff-gap`,children:[`…`,`
`]},i):t(a===`+`?`ins`:a===`-`?`del`:`span`,{children:[a,` `,o,`
`]},i)})})}export{i as t};