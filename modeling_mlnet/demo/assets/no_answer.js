// What is said where the server cannot say it, for example because its queue is full.

(notice) => {
  if (Date.now() - Number(document.body.dataset.cancelled || 0) < 5000) return notice;
  return ["No answer came: the server is busy or out of reach. Try again in a minute.", Date.now()];
};
