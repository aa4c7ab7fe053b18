// Keeps a setting in the page's address, so that the address reproduces what is seen. Defaults are left out. Until the
// page is restored from it the address is left alone: gradio reports the first tab as chosen when the page opens.

(name, value, usual) => {
  if (!document.body.dataset.restored) return;
  const address = new URL(window.location);
  if (value === usual || value === null || value === undefined || value === "") address.searchParams.delete(name);
  else address.searchParams.set(name, value);
  window.history.replaceState(null, "", address);
};
