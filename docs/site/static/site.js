// The furo of Debian 12 has lost its script and its rules for the scheme that the system asks for: the one that is asked for is chosen.
if (document.documentElement.classList.contains('no-js')) {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const follow = () => { document.body.dataset.theme = dark.matches ? 'dark' : 'light'; };
  dark.addEventListener('change', follow);
  follow();
}

// What scrolls can be reached with the keyboard.
for (const element of document.querySelectorAll('article pre, article .table-wrapper')) {
  if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
}
