/* Light or dark as the reader chose, before the first paint. A classic script: modules would come too late. */
document.documentElement.dataset.theme = localStorage.getItem("cds-page-theme") ?? "auto";
/* Until the words are there nothing is shown that they would push about; app.css ends the wait should they never come. */
document.documentElement.dataset.waiting = "";
