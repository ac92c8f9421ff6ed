/* Light or dark as the reader chose, before the first paint. A classic script: modules would come too late. */
document.documentElement.dataset.theme = localStorage.getItem("cds-page-theme") ?? "auto";
