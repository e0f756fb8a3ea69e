define(['jquery', 'underscore'], function ($, _) {
  return function () {
    var self = this;
    this.callbacks = {
      init: function () { return true; },
      render: function () { self.render_template({ body: '' }); return true; },
      bind_actions: function () { $('.x').on('click', function () {}); return true; },
      settings: function () { return true; },
      onSave: function () { return true; },
      destroy: function () {},
      salesbotDesignerSettings: function () {
        return { exits: [
          { code: 'success', title: self.i18n('exits.success') },
          { code: 'fail', title: self.i18n('exits.fail') }
        ] };
      },
      onSalesbotDesignerSave: function (handler_code, params) {
        var exit = function (code) { return { handler: 'exits', params: { value: code } }; };
        return JSON.stringify([
          { question: [
            { handler: 'widget_request', params: {
              url: params.url, data: { message: params.message, lead: { id: '{{lead.id}}' }, from: handler_code } } },
            { handler: 'goto', params: { type: 'question', step: 1 } }
          ], require: [] },
          { question: [
            { handler: 'conditions', params: { logic: 'and', result: [
              { handler: 'show', params: { type: 'text', value: '{{json.reply}}' } }, exit('success')
            ], conditions: [{ term1: '{{json.status}}', term2: 'success', operation: '=' }] } },
            exit('fail')
          ], require: [] }
        ]);
      }
    };
    this.render_template = function () {};
    return this;
  };
});
