// Brings the result into sight on a phone, where it lies below the image; not past a line on what went wrong.

(notice) => {
  if (!notice && window.innerWidth <= 820) {
    document.getElementById("view").scrollIntoView({ block: "start", behavior: "smooth" });
  }
};
