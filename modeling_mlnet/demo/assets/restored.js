// From now on settings are kept in the address, which address.js waits for. An address that could not be restored goes.

(notice) => {
  if (notice && window.location.search) window.history.replaceState(null, "", window.location.pathname);
  document.body.dataset.restored = "yes";
};
