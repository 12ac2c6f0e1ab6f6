// Sends the only form of its page. Without it, the page's button does the same.
"use strict";
document.forms[0].submit();
