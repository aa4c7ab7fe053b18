// From now on settings are kept in the address, which address.js waits for.

() => { document.body.dataset.restored = "yes"; };
